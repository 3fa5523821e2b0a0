package shape

import (
	"slices"

	"github.com/idtrail/idtrail/schema"
)

// prune takes away what redaction left empty: an object with nothing in it is
// none.
func prune(e *schema.Event) {
	e.Metadata.Labels = filled(e.Metadata.Labels)
	e.Privileges = filled(e.Privileges)
	if len(e.Unmapped) == 0 {
		e.Unmapped = nil
	}
	e.User, e.UserResult = pruneUser(e.User), pruneUser(e.UserResult)
	if a := e.Actor; a != nil {
		a.User, a.Session, a.IDP = pruneUser(a.User), nonzero(a.Session), nonzero(a.IDP)
		e.Actor = nonzero(a)
	}
	e.Session, e.Service, e.Policy = nonzero(e.Session), nonzero(e.Service), nonzero(e.Policy)
	e.SrcEndpoint, e.DstEndpoint = pruneEndpoint(e.SrcEndpoint), pruneEndpoint(e.DstEndpoint)
	if h := e.HTTPRequest; h != nil {
		h.URL = nonzero(h.URL)
		e.HTTPRequest = nonzero(h)
	}
	e.Entity, e.EntityResult = nonzero(e.Entity), nonzero(e.EntityResult)
	e.Resources = slices.DeleteFunc(e.Resources, emptyResource)
	if len(e.Resources) == 0 {
		e.Resources = nil
	}
	if e.Resource != nil && emptyResource(*e.Resource) {
		e.Resource = nil
	}
	pruneAPI(e.API)
}

// nonzero is p, nil where it points to nothing but zeros.
func nonzero[T comparable](p *T) *T {
	var zero T
	if p != nil && *p == zero {
		return nil
	}
	return p
}

// filled are the texts of the list that are not empty.
func filled(list []string) []string {
	list = slices.DeleteFunc(list, func(s string) bool { return s == "" })
	if len(list) == 0 {
		return nil
	}
	return list
}

// pruneUser takes a user away of whom nothing is left but what kind he is.
func pruneUser(u *schema.UserObject) *schema.UserObject {
	if u == nil {
		return nil
	}
	u.Account, u.Org = nonzero(u.Account), nonzero(u.Org)
	empty := u.UID == "" && u.UIDAlt == "" && u.Name == "" && u.FullName == "" && u.EmailAddr == "" && u.Domain == "" &&
		u.CredentialUID == "" && u.Account == nil && u.Org == nil && len(u.Groups) == 0
	if empty {
		return nil
	}
	return u
}

func pruneEndpoint(n *schema.NetworkEndpoint) *schema.NetworkEndpoint {
	if n != nil {
		n.Location = nonzero(n.Location)
	}
	return nonzero(n)
}

func emptyResource(r schema.ResourceDetails) bool {
	return r.UID == "" && r.Name == "" && r.Type == "" && r.Region == "" && r.Data == "" && len(r.Labels) == 0
}

func pruneAPI(a *schema.API) {
	if a != nil {
		a.Service, a.Response = nonzero(a.Service), nonzero(a.Response)
	}
}
