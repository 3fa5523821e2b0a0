// Reads SQL from stdin, runs it in a DuckDB in memory, and prints how many rows it
// gave and how long that took, all rows fetched. IDTRAIL_DUCKDB is the folder that
// has node_modules/@duckdb in it.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const require = createRequire(join(process.env.IDTRAIL_DUCKDB, "index.js"));
const { DuckDBInstance } = require("@duckdb/node-api");

const sql = readFileSync(0, "utf8");
const connection = await (await DuckDBInstance.create(":memory:")).connect();
await connection.run("SET TimeZone = 'UTC'");
const begun = performance.now();
const rows = (await connection.runAndReadAll(sql)).currentRowCount;
const seconds = (performance.now() - begun) / 1000;
process.stdout.write(JSON.stringify({ rows, seconds }) + "\n");
process.exit(0);
