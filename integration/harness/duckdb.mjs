// Reads SQL from stdin, runs all its statements in a DuckDB in memory, and
// prints the rows of the last one as a JSON array. IDTRAIL_DUCKDB is the
// folder that has node_modules/@duckdb in it.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const require = createRequire(join(process.env.IDTRAIL_DUCKDB, "index.js"));
const duckdb = require("@duckdb/node-api");

// encode writes integers of any size as JSON numbers, and what JSON has no
// type for, times say, as DuckDB prints it.
function encode(v) {
  if (v === null || v === undefined) return "null";
  if (typeof v === "bigint") return v.toString();
  if (typeof v === "number") return Number.isFinite(v) ? JSON.stringify(v) : JSON.stringify(String(v));
  if (typeof v === "boolean" || typeof v === "string") return JSON.stringify(v);
  if (v instanceof duckdb.DuckDBListValue || v instanceof duckdb.DuckDBArrayValue) {
    return "[" + v.items.map(encode).join(",") + "]";
  }
  if (v instanceof duckdb.DuckDBStructValue) return object(Object.entries(v.entries));
  if (v instanceof duckdb.DuckDBMapValue) return object(v.entries.map((e) => [String(e.key), e.value]));
  return JSON.stringify(String(v));
}

function object(pairs) {
  return "{" + pairs.map(([k, v]) => JSON.stringify(k) + ":" + encode(v)).join(",") + "}";
}

const instance = await duckdb.DuckDBInstance.create(":memory:");
const connection = await instance.connect();
await connection.run("SET TimeZone = 'UTC'");
const statements = await connection.extractStatements(readFileSync(0, "utf8"));
let rows = [];
for (let i = 0; i < statements.count; i++) {
  const prepared = await statements.prepare(i);
  rows = (await prepared.runAndReadAll()).getRowObjects();
}
process.stdout.write("[" + rows.map((r) => object(Object.entries(r))).join(",\n") + "]\n");
