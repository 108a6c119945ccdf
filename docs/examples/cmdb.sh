cat <<'JSON'
{ "hosts": { "web1": { "address": "10.0.0.1", "vars": { "rack": "a1" } },
             "db1": { "address": "10.0.0.3", "owner": "data" } },
  "groups": { "web": { "hosts": ["web1"] },
              "production": { "hosts": ["db1"], "children": ["web"], "environment": "production" } } }
JSON
