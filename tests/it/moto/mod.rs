//! The binary against moto: somebody else's EC2, IAM and STS.
//!
//! moto has no `DescribeInstanceInformation`, so Systems Manager is our own sandbox, which does not know moto's machines:
//! that they are back is then seen by EC2's status checks.

pub mod account;
mod rights;
pub mod swap;
