package fake

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// CatalogOptions say how [Catalog] behaves.
type CatalogOptions struct {
	// Running is how often a query is answered as running before it is over.
	Running int
	// Fails says why a query fails, "" if it does not. nil: none does.
	Fails func(sql string) string
	// Now is the server's clock, time.Now by default.
	Now func() time.Time
	// Fault, where set, is asked at every call what is to go wrong with it. The
	// Path of the [Call] is service and operation, as in policies:
	// glue:GetTable, athena:StartQueryExecution.
	Fault func(Call) *Fault
}

// Catalog is Glue's data catalog and Athena over it, as far as tables, views and
// saved queries go (JSON 1.1): an http.Handler. It may be used concurrently.
//
// Of SQL it knows CREATE OR REPLACE VIEW, and keeps of a view what Athena does:
// its name and a text of its own. As Glue does, it replaces a table as a whole,
// and refuses to if VersionId is not that of the table. Signatures are not
// checked, but have to be there, and made for the service that is called.
type Catalog struct {
	journal

	opts      CatalogOptions
	mu        sync.Mutex
	databases map[string]map[string]any            // their inputs, by name
	tables    map[string]map[string]map[string]any // by database and name
	queries   []catalogQuery
	saved     []map[string]any
}

type catalogQuery struct {
	id, sql, workgroup, output, reason, state string
	looks                                     int
}

var _ http.Handler = (*Catalog)(nil)

// NewCatalog makes one without databases.
func NewCatalog(opts CatalogOptions) *Catalog {
	if opts.Now == nil {
		opts.Now = time.Now //nolint:forbidigo // the default of a server's own clock
	}
	return &Catalog{opts: opts, databases: map[string]map[string]any{}, tables: map[string]map[string]map[string]any{}}
}

// catalogServices are the services by the prefix of their targets.
var catalogServices = map[string]string{"AWSGlue": "glue", "AmazonAthena": "athena"}

// ServeHTTP answers one call.
func (c *Catalog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	target, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	service := catalogServices[target]
	call := c.enter(r, service+":"+op, c.opts.Now())
	var fault *Fault
	if c.opts.Fault != nil {
		fault = c.opts.Fault(call)
	}
	_, signed := signedFor(r)
	var in map[string]any
	a := catalogError("UnknownOperationException", op)
	switch answer, known := c.operations()[service+":"+op]; {
	case json.Unmarshal(body, &in) != nil:
		a = catalogError("SerializationException", "")
	case signed != service:
		a = catalogError("IncompleteSignatureException", "")
	case known && (fault == nil || fault.Status == 0):
		c.mu.Lock()
		a = answer(in)
		c.mu.Unlock()
	}
	c.answered(call, fault.send(w, r, a, call.At))
}

func (c *Catalog) operations() map[string]func(map[string]any) answer {
	return map[string]func(map[string]any) answer{
		"glue:GetDatabase":           c.getDatabase,
		"glue:CreateDatabase":        c.createDatabase,
		"glue:GetTable":              c.getTable,
		"glue:CreateTable":           c.createTable,
		"glue:UpdateTable":           c.updateTable,
		"athena:StartQueryExecution": c.startQuery,
		"athena:GetQueryExecution":   c.getQuery,
		"athena:StopQueryExecution":  c.stopQuery,
		"athena:ListNamedQueries":    c.listSaved,
		"athena:BatchGetNamedQuery":  c.getSaved,
		"athena:CreateNamedQuery":    c.createSaved,
		"athena:UpdateNamedQuery":    c.updateSaved,
	}
}

func catalogError(code, message string) answer {
	return VaultFault(http.StatusBadRequest, code, message).answer()
}

// CatalogFault is an error of the services as a fault of one call.
func CatalogFault(code, message string) *Fault {
	return VaultFault(http.StatusBadRequest, code, message)
}

func textOf(in map[string]any, name string) string {
	s, _ := in[name].(string)
	return s
}

func objectOf(in map[string]any, name string) map[string]any {
	o, _ := in[name].(map[string]any)
	return o
}

func (c *Catalog) getDatabase(in map[string]any) answer {
	db, ok := c.databases[textOf(in, "Name")]
	if !ok {
		return catalogError("EntityNotFoundException", "Database "+textOf(in, "Name")+" not found.")
	}
	return vaultAnswer(map[string]any{"Database": db})
}

func (c *Catalog) createDatabase(in map[string]any) answer {
	db := objectOf(in, "DatabaseInput")
	name := textOf(db, "Name")
	if _, there := c.databases[name]; there {
		return catalogError("AlreadyExistsException", "Database already exists.")
	}
	c.databases[name] = db
	c.tables[name] = map[string]map[string]any{}
	return vaultAnswer(map[string]any{})
}

func (c *Catalog) getTable(in map[string]any) answer {
	t, ok := c.tables[textOf(in, "DatabaseName")][textOf(in, "Name")]
	if !ok {
		return catalogError("EntityNotFoundException", "Entity Not Found")
	}
	return vaultAnswer(map[string]any{"Table": t})
}

func (c *Catalog) createTable(in map[string]any) answer {
	db, ok := c.tables[textOf(in, "DatabaseName")]
	if !ok {
		return catalogError("EntityNotFoundException", "Database not found.")
	}
	t := objectOf(in, "TableInput")
	if _, there := db[textOf(t, "Name")]; there {
		return catalogError("AlreadyExistsException", "Table already exists.")
	}
	c.keep(textOf(in, "DatabaseName"), t)
	return vaultAnswer(map[string]any{})
}

func (c *Catalog) updateTable(in map[string]any) answer {
	t := objectOf(in, "TableInput")
	there, ok := c.tables[textOf(in, "DatabaseName")][textOf(t, "Name")]
	if !ok {
		return catalogError("EntityNotFoundException", "Table not found.")
	}
	if v := textOf(in, "VersionId"); v != "" && v != textOf(there, "VersionId") {
		return catalogError("ConcurrentModificationException", "Update table failed due to concurrent modifications.")
	}
	c.keep(textOf(in, "DatabaseName"), t)
	return vaultAnswer(map[string]any{})
}

// keep replaces a table as a whole.
func (c *Catalog) keep(database string, t map[string]any) {
	t = maps.Clone(t)
	version := 0
	if there, ok := c.tables[database][textOf(t, "Name")]; ok {
		version, _ = strconv.Atoi(textOf(there, "VersionId"))
		version++
	}
	t["VersionId"], t["DatabaseName"] = strconv.Itoa(version), database
	c.tables[database][textOf(t, "Name")] = t
}

// createView is the one statement that is known.
var createView = regexp.MustCompile(`^CREATE OR REPLACE VIEW "([^"]+)"\."([^"]+)" AS\s`)

func (c *Catalog) startQuery(in map[string]any) answer {
	q := catalogQuery{
		id: fmt.Sprintf("q-%d", len(c.queries)+1), sql: textOf(in, "QueryString"), workgroup: textOf(in, "WorkGroup"),
		output: textOf(objectOf(in, "ResultConfiguration"), "OutputLocation"), state: "SUCCEEDED",
	}
	if c.opts.Fails != nil {
		q.reason = c.opts.Fails(q.sql)
	}
	view := createView.FindStringSubmatch(q.sql)
	switch {
	case q.reason != "":
		q.state = "FAILED"
	case view == nil:
		q.state, q.reason = "FAILED", "SYNTAX_ERROR"
	case c.tables[view[1]] == nil:
		q.state, q.reason = "FAILED", "SCHEMA_NOT_FOUND: line 1:1: Schema '"+view[1]+"' does not exist"
	default:
		c.keep(view[1], map[string]any{
			"Name": view[2], "TableType": "VIRTUAL_VIEW", "ViewExpandedText": "/* Presto View */",
			"ViewOriginalText": "/* Presto View: e30= */", "Parameters": map[string]any{"presto_view": "true", "comment": "Presto View"},
		})
	}
	c.queries = append(c.queries, q)
	return vaultAnswer(map[string]any{"QueryExecutionId": q.id})
}

func (c *Catalog) findQuery(in map[string]any) *catalogQuery {
	for n := range c.queries {
		if c.queries[n].id == textOf(in, "QueryExecutionId") {
			return &c.queries[n]
		}
	}
	return &catalogQuery{state: "FAILED", reason: "no such query"}
}

func (c *Catalog) getQuery(in map[string]any) answer {
	q := c.findQuery(in)
	q.looks++
	status := map[string]any{"State": q.state, "StateChangeReason": q.reason}
	if q.looks <= c.opts.Running {
		status = map[string]any{"State": "RUNNING"}
	}
	return vaultAnswer(map[string]any{"QueryExecution": map[string]any{"QueryExecutionId": q.id, "Query": q.sql, "Status": status}})
}

func (c *Catalog) stopQuery(in map[string]any) answer {
	c.findQuery(in).state = "CANCELLED"
	return vaultAnswer(map[string]any{})
}

// savedPage is how many ids a page has: fewer than Athena's 50, to have several.
const savedPage = 5

func (c *Catalog) listSaved(in map[string]any) answer {
	var ids []string
	for _, q := range c.saved {
		if textOf(q, "WorkGroup") == textOf(in, "WorkGroup") {
			ids = append(ids, textOf(q, "NamedQueryId"))
		}
	}
	from, _ := strconv.Atoi(textOf(in, "NextToken"))
	page := map[string]any{"NamedQueryIds": ids[from:min(from+savedPage, len(ids))]}
	if from+savedPage < len(ids) {
		page["NextToken"] = strconv.Itoa(from + savedPage)
	}
	return vaultAnswer(page)
}

func (c *Catalog) getSaved(in map[string]any) answer {
	var found []map[string]any
	ids, _ := in["NamedQueryIds"].([]any)
	for _, q := range c.saved {
		if slices.Contains(ids, q["NamedQueryId"]) {
			found = append(found, q)
		}
	}
	return vaultAnswer(map[string]any{"NamedQueries": found})
}

func (c *Catalog) createSaved(in map[string]any) answer {
	in["NamedQueryId"] = fmt.Sprintf("n-%d", len(c.saved)+1)
	c.saved = append(c.saved, in)
	return vaultAnswer(map[string]any{"NamedQueryId": in["NamedQueryId"]})
}

func (c *Catalog) updateSaved(in map[string]any) answer {
	for _, q := range c.saved {
		if q["NamedQueryId"] == in["NamedQueryId"] {
			maps.Copy(q, in)
			return vaultAnswer(map[string]any{})
		}
	}
	return catalogError("InvalidRequestException", "NamedQuery was not found")
}

// Table returns a table as Glue has it, nil if there is none.
func (c *Catalog) Table(database, name string) map[string]any {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.tables[database][name])
}

// PutTable makes or replaces a table, and its database, as somebody else would.
func (c *Catalog) PutTable(database string, t map[string]any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tables[database] == nil {
		c.databases[database] = map[string]any{"Name": database}
		c.tables[database] = map[string]map[string]any{}
	}
	c.keep(database, t)
}

// Saved returns the saved queries, by id.
func (c *Catalog) Saved() []map[string]any {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]map[string]any, len(c.saved))
	for n, q := range c.saved {
		all[n] = maps.Clone(q)
	}
	return all
}

// Queried returns workgroup and place of results of every query that was
// started.
func (c *Catalog) Queried() [][2]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all [][2]string
	for _, q := range c.queries {
		all = append(all, [2]string{q.workgroup, q.output})
	}
	return all
}
