package datadog

import "github.com/idtrail/idtrail/schema"

// withoutRaw returns the event without its raw record, which is most of a large
// one and stays in the lake.
func withoutRaw(e *schema.Event) *schema.Event {
	slim := *e
	slim.RawData = ""
	return &slim
}

// withoutTexts returns the event without whatever else can be of any length:
// payloads, lists and what was not mapped. Long texts are cut.
func withoutTexts(e *schema.Event) *schema.Event {
	const most = 4 << 10
	slim := *e
	slim.Message, slim.StatusDetail, slim.Comment = clip(e.Message, most), clip(e.StatusDetail, most), clip(e.Comment, most)
	slim.Unmapped, slim.Observables, slim.Resources = nil, nil, nil
	slim.Privileges = firsts(e.Privileges)
	slim.API = slimAPI(e.API, most)
	slim.User, slim.UserResult = slimUser(e.User), slimUser(e.UserResult)
	slim.Group = slimGroup(e.Group)
	slim.Entity, slim.EntityResult = slimEntity(e.Entity), slimEntity(e.EntityResult)
	if e.Actor != nil {
		actor := *e.Actor
		actor.User = slimUser(actor.User)
		slim.Actor = &actor
	}
	if e.Resource != nil {
		resource := *e.Resource
		resource.Data, resource.Labels = "", firsts(resource.Labels)
		slim.Resource = &resource
	}
	if e.HTTPRequest != nil {
		slim.HTTPRequest = slimRequest(*e.HTTPRequest, most)
	}
	slim.Metadata.Labels = firsts(e.Metadata.Labels)
	return &slim
}

// firsts of a list, as many as a person reads.
func firsts[T any](list []T) []T { return list[:min(len(list), 50)] }

func slimAPI(a *schema.API, most int) *schema.API {
	if a == nil {
		return nil
	}
	slim := *a
	if a.Request != nil {
		slim.Request = &schema.Request{UID: a.Request.UID, Flags: firsts(a.Request.Flags)}
	}
	if a.Response != nil {
		slim.Response = &schema.Response{
			Code: a.Response.Code, Error: clip(a.Response.Error, most),
			ErrorMessage: clip(a.Response.ErrorMessage, most), Message: clip(a.Response.Message, most),
		}
	}
	return &slim
}

func slimUser(u *schema.UserObject) *schema.UserObject {
	if u == nil {
		return nil
	}
	slim := *u
	slim.Groups = nil
	return &slim
}

func slimGroup(g *schema.Group) *schema.Group {
	if g == nil {
		return nil
	}
	slim := *g
	slim.Privileges = firsts(g.Privileges)
	return &slim
}

func slimEntity(m *schema.ManagedEntity) *schema.ManagedEntity {
	if m == nil {
		return nil
	}
	slim := *m
	slim.Data, slim.Group = "", slimGroup(m.Group)
	return &slim
}

func slimRequest(r schema.HTTPRequest, most int) *schema.HTTPRequest {
	r.UserAgent, r.Referrer = clip(r.UserAgent, most), clip(r.Referrer, most)
	if r.URL != nil {
		u := *r.URL
		u.URLString, u.Path, u.QueryString = clip(u.URLString, most), clip(u.Path, most), clip(u.QueryString, most)
		r.URL = &u
	}
	return &r
}
