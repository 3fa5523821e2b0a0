// Package athena makes a lake queryable in Amazon Athena: it writes the tables
// with projected partitions, the views and a library of audit queries, as text
// ([Options.Statements]) or into an account ([Installer]), and finds what of a
// lake no table covers ([Uncovered], [Installer.Installed]).
//
// The queries are files of their own, written once as templates of SQL that
// Athena and DuckDB share: what the tests see in DuckDB is what Athena is given.
// What columns mean is package schema's; what the tables of the lake are is told
// by the caller.
package athena
