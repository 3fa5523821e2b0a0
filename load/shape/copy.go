package shape

import (
	"maps"
	"slices"

	"github.com/idtrail/idtrail/schema"
)

// clone copies an event as deep as redaction may change it.
func clone(e *schema.Event) *schema.Event {
	c := *e
	c.Metadata.Labels = slices.Clone(e.Metadata.Labels)
	if e.Cloud != nil {
		c.Cloud = shallow(e.Cloud)
		c.Cloud.Account = shallow(e.Cloud.Account)
	}
	c.API = cloneAPI(e.API)
	c.Actor = cloneActor(e.Actor)
	c.User, c.UserResult = cloneUser(e.User), cloneUser(e.UserResult)
	c.Group = cloneGroup(e.Group)
	c.Privileges = slices.Clone(e.Privileges)
	c.Policy = shallow(e.Policy)
	c.Entity, c.EntityResult = cloneEntity(e.Entity), cloneEntity(e.EntityResult)
	if e.Resource != nil {
		c.Resource = new(cloneResource(*e.Resource))
	}
	c.Resources = slices.Clone(e.Resources)
	for i, r := range c.Resources {
		c.Resources[i] = cloneResource(r)
	}
	c.Service, c.Session = shallow(e.Service), shallow(e.Session)
	c.SrcEndpoint, c.DstEndpoint = cloneEndpoint(e.SrcEndpoint), cloneEndpoint(e.DstEndpoint)
	if e.HTTPRequest != nil {
		c.HTTPRequest = shallow(e.HTTPRequest)
		c.HTTPRequest.URL = shallow(e.HTTPRequest.URL)
	}
	c.Observables = slices.Clone(e.Observables)
	c.Unmapped = maps.Clone(e.Unmapped)
	return &c
}

func shallow[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

func cloneAPI(a *schema.API) *schema.API {
	c := shallow(a)
	if c == nil {
		return nil
	}
	c.Service, c.Response = shallow(a.Service), shallow(a.Response)
	if a.Request != nil {
		c.Request = shallow(a.Request)
		c.Request.Flags = slices.Clone(a.Request.Flags)
	}
	return c
}

func cloneActor(a *schema.Actor) *schema.Actor {
	c := shallow(a)
	if c != nil {
		c.User, c.Session, c.IDP = cloneUser(a.User), shallow(a.Session), shallow(a.IDP)
	}
	return c
}

func cloneUser(u *schema.UserObject) *schema.UserObject {
	c := shallow(u)
	if c == nil {
		return nil
	}
	c.Account, c.Org = shallow(u.Account), shallow(u.Org)
	c.Groups = slices.Clone(u.Groups)
	for i := range c.Groups {
		c.Groups[i].Privileges = slices.Clone(c.Groups[i].Privileges)
	}
	return c
}

func cloneGroup(g *schema.Group) *schema.Group {
	c := shallow(g)
	if c != nil {
		c.Privileges = slices.Clone(g.Privileges)
	}
	return c
}

func cloneEntity(m *schema.ManagedEntity) *schema.ManagedEntity {
	c := shallow(m)
	if c != nil {
		c.Org, c.Policy, c.Group = shallow(m.Org), shallow(m.Policy), cloneGroup(m.Group)
	}
	return c
}

func cloneResource(r schema.ResourceDetails) schema.ResourceDetails {
	r.Labels = slices.Clone(r.Labels)
	return r
}

func cloneEndpoint(n *schema.NetworkEndpoint) *schema.NetworkEndpoint {
	c := shallow(n)
	if c != nil {
		c.Location = shallow(n.Location)
	}
	return c
}
