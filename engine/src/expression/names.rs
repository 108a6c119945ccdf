//! What an expression uses: names, filters, calls.

use std::collections::BTreeSet;

use minijinja::{
    Value,
    machinery::{ast, parse_expr},
};

use super::{ExpressionError, LONGEST, said};

/// Every filter, sorted.
pub(super) const FILTERS: &[&str] = &[
    "abs",
    "attr",
    "batch",
    "bool",
    "capitalize",
    "chain",
    "count",
    "d",
    "default",
    "dictsort",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "ps",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "sh",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "unique",
    "upper",
    "zip",
];

/// A name with the attributes taken from it: `params.patch_group` or `steps['patch'].outputs.exit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// `["params", "patch_group"]`, as far as it is written down.
    pub parts: Vec<String>,
    /// Where it stands in the expression, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// It may be absent: a `default` or a test for it stands around it.
    pub optional: bool,
}

/// A filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterUse {
    /// Its name.
    pub name: String,
    /// Where its name stands in the expression, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// A call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What is called, as far as it is a name.
    pub name: String,
    /// Its only argument, if that is a text written down.
    pub argument: Option<String>,
    /// Where it stands in the expression, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// What an expression uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Names, in the order written.
    pub paths: Vec<Path>,
    /// Filters, in the order written.
    pub filters: Vec<FilterUse>,
    /// Calls, in the order written.
    pub calls: Vec<Call>,
    /// The filter that everything goes through last.
    pub last_filter: Option<String>,
    /// It is nothing but a value written down.
    pub constant: bool,
}

impl Uses {
    /// Of what stands between the braces.
    ///
    /// # Errors
    /// [`ExpressionError::Syntax`].
    pub fn of(expression: &str) -> Result<Self, ExpressionError> {
        if expression.len() > LONGEST {
            let message = format!("an expression may have {LONGEST} bytes");
            return Err(ExpressionError::Syntax { message, offset: 0 });
        }
        if expression.trim().is_empty() {
            return Err(ExpressionError::Syntax { message: "the expression is empty".into(), offset: 0 });
        }
        let parsed = parse_expr(expression).map_err(|error| ExpressionError::Syntax {
            offset: error.range().map_or(0, |range| range.start.min(expression.len())),
            message: said(&error),
        })?;
        let mut uses = Self {
            last_filter: match &parsed {
                ast::Expr::Filter(filter) => Some(filter.name.to_owned()),
                _ => None,
            },
            constant: parsed.as_const().is_some(),
            ..Self::default()
        };
        uses.visit(&parsed, expression, false);
        Ok(uses)
    }

    /// Adds the top-level names: `params`, …, and `secret` when it is called.
    pub(super) fn add_names_to(&self, names: &mut BTreeSet<String>) {
        names.extend(self.paths.iter().filter_map(|path| path.parts.first().cloned()));
        names.extend(self.calls.iter().map(|call| call.name.clone()));
    }

    /// Whether `secret()` is called.
    pub fn calls_secret(&self) -> bool {
        self.calls.iter().any(|call| call.name == "secret")
    }

    /// The names of the secrets that are written down in it.
    pub fn secrets(&self) -> BTreeSet<String> {
        self.calls
            .iter()
            .filter(|call| call.name == "secret")
            .filter_map(|call| call.argument.clone())
            .collect()
    }

    /// The first name that holds nothing.
    pub(super) fn first_undefined(&self, context: &Value) -> Option<String> {
        self.paths.iter().filter(|path| !path.optional).find_map(|path| {
            let mut value = context.clone();
            for (index, part) in path.parts.iter().enumerate() {
                let attribute = value.get_attr(part).ok().filter(|value| !value.is_undefined());
                let item = || value.get_item_by_index(part.parse().ok()?).ok();
                match attribute.or_else(item).filter(|value| !value.is_undefined()) {
                    Some(next) => value = next,
                    None => return Some(path.parts[..=index].join(".")),
                }
            }
            None
        })
    }

    fn visit(&mut self, expr: &ast::Expr<'_>, source: &str, optional: bool) {
        if let Some(path) = path_of(expr, optional) {
            self.paths.push(path);
            return;
        }
        match expr {
            ast::Expr::Var(_) | ast::Expr::Const(_) => {}
            ast::Expr::Slice(slice) => {
                self.visit(&slice.expr, source, optional);
                for part in [&slice.start, &slice.stop, &slice.step].into_iter().flatten() {
                    self.visit(part, source, false);
                }
            }
            ast::Expr::UnaryOp(unary) => self.visit(&unary.expr, source, optional),
            ast::Expr::BinOp(binary) => {
                self.visit(&binary.left, source, optional);
                self.visit(&binary.right, source, optional);
            }
            ast::Expr::Compare(compare) => {
                self.visit(&compare.expr, source, optional);
                for operand in &compare.ops {
                    self.visit(&operand.expr, source, optional);
                }
            }
            ast::Expr::IfExpr(branch) => {
                self.visit(&branch.test_expr, source, optional);
                self.visit(&branch.true_expr, source, optional);
                if let Some(otherwise) = &branch.false_expr {
                    self.visit(otherwise, source, optional);
                }
            }
            ast::Expr::Filter(filter) => {
                if let Some(expr) = &filter.expr {
                    let defaulted = matches!(filter.name, "default" | "d");
                    self.visit(expr, source, optional || defaulted);
                }
                let (start, end) = filter_name(source, expr, filter.name);
                self.filters.push(FilterUse { name: filter.name.to_owned(), start, end });
                self.visit_arguments(&filter.args, source);
            }
            ast::Expr::Test(test) => {
                let asked = matches!(test.name, "defined" | "undefined");
                self.visit(&test.expr, source, optional || asked);
                self.visit_arguments(&test.args, source);
            }
            ast::Expr::GetAttr(attribute) => self.visit(&attribute.expr, source, optional),
            ast::Expr::GetItem(item) => {
                self.visit(&item.expr, source, optional);
                self.visit(&item.subscript_expr, source, false);
            }
            ast::Expr::Call(call) => {
                let span = call.expr.span();
                let name = match &call.expr {
                    ast::Expr::Var(name) => name.id.to_owned(),
                    ast::Expr::GetAttr(attribute) => {
                        self.visit(&attribute.expr, source, false);
                        format!(".{}", attribute.name)
                    }
                    other => {
                        self.visit(other, source, false);
                        String::new()
                    }
                };
                let argument = match &call.args[..] {
                    [ast::CallArg::Pos(ast::Expr::Const(constant))] => {
                        constant.value.as_str().map(str::to_owned)
                    }
                    _ => None,
                };
                self.calls.push(Call {
                    name,
                    argument,
                    start: span.start_offset as usize,
                    end: expr.span().end_offset as usize,
                });
                self.visit_arguments(&call.args, source);
            }
            ast::Expr::List(list) => self.visit_all(&list.items, source),
            ast::Expr::Tuple(tuple) => self.visit_all(&tuple.items, source),
            ast::Expr::Map(map) => {
                self.visit_all(&map.keys, source);
                self.visit_all(&map.values, source);
            }
        }
    }

    fn visit_all(&mut self, exprs: &[ast::Expr<'_>], source: &str) {
        for expr in exprs {
            self.visit(expr, source, false);
        }
    }

    fn visit_arguments(&mut self, arguments: &[ast::CallArg<'_>], source: &str) {
        for argument in arguments {
            match argument {
                ast::CallArg::Pos(expr)
                | ast::CallArg::Kwarg(_, expr)
                | ast::CallArg::PosSplat(expr)
                | ast::CallArg::KwargSplat(expr) => self.visit(expr, source, false),
            }
        }
    }
}

/// The path that an expression is, if it is one.
fn path_of(expr: &ast::Expr<'_>, optional: bool) -> Option<Path> {
    let (mut path, part) = match expr {
        ast::Expr::Var(name) => {
            let span = name.span();
            return Some(Path {
                parts: vec![name.id.to_owned()],
                start: span.start_offset as usize,
                end: span.end_offset as usize,
                optional,
            });
        }
        ast::Expr::GetAttr(attribute) => (path_of(&attribute.expr, optional)?, attribute.name.to_owned()),
        ast::Expr::GetItem(item) => match &item.subscript_expr {
            ast::Expr::Const(constant) => (path_of(&item.expr, optional)?, constant.value.to_string()),
            _ => return None,
        },
        _ => return None,
    };
    path.parts.push(part);
    path.end = expr.span().end_offset as usize;
    Some(path)
}

/// Where the name of a filter stands: the parser's span of a filter begins with it.
fn filter_name(source: &str, expr: &ast::Expr<'_>, name: &str) -> (usize, usize) {
    let span = expr.span();
    let (start, end) = (span.start_offset as usize, (span.end_offset as usize).min(source.len()));
    match source.get(start..end).and_then(|text| text.find(name)) {
        Some(at) => (start + at, start + at + name.len()),
        None => (start, end),
    }
}
