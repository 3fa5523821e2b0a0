package auth0

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// errNoList says that an answer does not hold the list that was asked for. It
// is a reason to ask again, never an empty list.
var errNoList = errors.New("answer holds no such list")

// acceptableJSON refuses answers that are no whole JSON, and lists and jobs that
// lack what makes them one.
func acceptableJSON(urlPath string, body []byte) error {
	root := gjson.ParseBytes(body)
	if !json.Valid(body) || !root.IsObject() && !root.IsArray() {
		return fmt.Errorf("answer is no JSON object or list: %s", looksLike(body))
	}
	if path.Base(path.Dir(urlPath)) == "jobs" {
		if root.Get("id").Str == "" || root.Get("status").Str == "" {
			return errors.New("answer is no job")
		}
		return nil
	}
	if name := listName(urlPath); name != "" && !root.IsArray() && !root.Get(name).IsArray() {
		return fmt.Errorf("%w: %s", errNoList, name)
	}
	return nil
}

// listName is the member a list stands under when a path is asked for in pages,
// "" for paths that give no such list.
func listName(urlPath string) string {
	switch name := path.Base(urlPath); name {
	case "roles", "users", "organizations", "members", "connections", "clients", "resource-servers":
		return strings.ReplaceAll(name, "-", "_")
	default:
		return ""
	}
}

// place is where a list goes on: behind a token of Auth0's, good for 24 hours,
// or at a page (from 1) where a list knows no tokens. The zero value is its
// beginning.
type place struct {
	Token string `json:"next,omitempty"`
	Page  int    `json:"page,omitempty"`
}

// walker reads a list page by page: by tokens (take and from), else by pages.
// A token may come with the last page that holds anything, and an empty page
// behind it: the list ends where there is no token.
type walker struct {
	client *client
	call   call
	at     place
	over   bool

	// A token that comes again is found out within twice the pages between:
	// mark is remembered for as many pages as were read until then.
	mark  place
	steps int
}

// next returns a page of the list; over tells whether it was the last one.
func (w *walker) next(ctx context.Context) ([]gjson.Result, error) {
	if w.at.Page > 0 {
		return w.byPage(ctx)
	}
	query := url.Values{"take": {strconv.Itoa(ListPerCall)}}
	if w.at.Token != "" {
		query.Set("from", w.at.Token)
	}
	root, err := w.ask(ctx, query)
	if w.at.Token == "" && (refusesTake(err) || err == nil && !byToken(root)) {
		w.at.Page = 1
		return w.byPage(ctx)
	}
	if err != nil {
		return nil, err
	}
	return w.items(root).Array(), w.advance(place{Token: root.Get("next").Str})
}

// refusesTake says whether an endpoint does not know the parameter.
func refusesTake(err error) bool {
	var status *StatusError
	return errors.As(err, &status) && status.Status == http.StatusBadRequest
}

// byToken says whether an answer is one of token paging: other lists have a
// total, or stand bare.
func byToken(root gjson.Result) bool {
	return root.IsObject() && !root.Get("total").Exists()
}

// byPage reads a page by its number. Auth0 lets nobody page past 1,000 entries;
// beyond that it is an error, not the end.
func (w *walker) byPage(ctx context.Context) ([]gjson.Result, error) {
	root, err := w.ask(ctx, url.Values{
		"page": {strconv.Itoa(w.at.Page - 1)}, "per_page": {strconv.Itoa(ListPerCall)}, "include_totals": {"true"},
	})
	if err != nil {
		return nil, err
	}
	items := w.items(root).Array()
	total := root.Get("total")
	if len(items) == 0 || total.Exists() && root.Get("start").Int()+int64(len(items)) >= total.Int() {
		w.over = true
	}
	w.at.Page++
	return items, nil
}

func (w *walker) ask(ctx context.Context, query url.Values) (gjson.Result, error) {
	in := w.call
	in.query = url.Values{}
	for _, values := range []url.Values{w.call.query, query} {
		for name := range values {
			in.query.Set(name, values.Get(name))
		}
	}
	body, _, err := w.client.do(ctx, in)
	if err != nil {
		return gjson.Result{}, err
	}
	return gjson.ParseBytes(body), nil
}

func (w *walker) items(root gjson.Result) gjson.Result {
	if root.IsArray() {
		return root
	}
	return root.Get(listName(w.call.path[len(w.call.path)-1]))
}

// advance goes to the next token, and finds out a server that leads in circles.
func (w *walker) advance(to place) error {
	if to.Token == "" {
		w.over = true
		return nil
	}
	if to == w.at || to == w.mark {
		return fmt.Errorf("list %s: %w", strings.Join(w.call.path, "/"), ErrStuck)
	}
	w.at = to
	w.steps++
	if w.steps&(w.steps-1) == 0 {
		w.mark = to
	}
	return nil
}

// each calls f for every entry of a list.
func (w *walker) each(ctx context.Context, f func(item gjson.Result)) error {
	for !w.over {
		items, err := w.next(ctx)
		if err != nil {
			return err
		}
		for _, item := range items {
			f(item)
		}
	}
	return nil
}
