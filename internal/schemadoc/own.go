package main

import (
	"time"

	"github.com/idtrail/idtrail/reconcile"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/transform"
)

// ownSources say where the columns come from that idtrail itself fills: for the
// tables of [ownRows] all of them.
var ownSources = map[string]map[string]string{
	"events": {
		"unmapped": "all fields that no other column takes",
		"raw_data": "the whole record",
	},
	"users": {
		"snapshot_id": "the snapshot it was read in",
		"raw_data":    "the whole record",
	},
	"pools": {
		"section":     "the call that was made",
		"id":          "the vendor's own id or name in its answer",
		"state":       "whether the call was allowed",
		"detail":      "the vendor's refusal",
		"data":        "the vendor's answer",
		"snapshot_id": "the snapshot it was read in",
	},
	"snapshots": {
		"snapshot_id": "the beginning of the snapshot",
		"begin_at":    "idtrail's clock at the first call",
		"end_at":      "idtrail's clock at the last answer",
		"counts":      "what was counted in the answers",
	},
	"rejected": {
		"segment": "the place in raw", "record": "the place in raw",
		"id":   "the field `metadata.uid` of `events` comes from",
		"kind": "the source's kind or format", "reason": "the mapping", "mapping": "the mapping",
		"landed_at": "the segment's header", "raw_data": "the whole record",
	},
	"gaps": {
		"stream": "the segment's header", "gap_from": "the segment's header", "gap_to": "the segment's header",
		"reason": "the segment's header", "input": "the segment's header", "declared_at": "the segment's header",
		"segment": "the segment's header",
	},
	"drift": {
		"compared_at": "the run", "left_source": "key `left` of the config", "right_source": "key `right` of the config",
		"left_snapshot": "`snapshots.snapshot_id`", "right_snapshot": "`snapshots.snapshot_id`",
		"type": "the comparison", "severity": "the comparison", "confidence": "the comparison",
		"person_key": "`persons.person_key`",
		"left_id":    "`users.user_id`", "left_name": "`users.user_name`",
		"right_id": "`users.user_id`", "right_name": "`users.user_name`",
		"rule": "the comparison", "field": "a column of `users`",
		"left_value": "that column on the left", "right_value": "that column on the right", "detail": "the comparison",
	},
	"persons": {
		"source": "the source's name", "user_id": "`users.user_id`", "user_name": "`users.user_name`",
		"person_key": "the hash of `users.user_id`", "link_rule": "the comparison",
		"valid_from": "`users.created_at`, `snapshots.begin_at`", "valid_to": "`snapshots.begin_at`",
	},
}

// ownRows are examples of the tables whose rows idtrail itself makes.
func ownRows() map[string]any {
	at := func(hour, minute int) time.Time { return time.Date(2026, 11, 20, hour, minute, 0, 0, time.UTC) }
	const ada = "auth0|5f7c8ec7c33c6c004bbafe82"
	closed := at(2, 0)
	return map[string]any{
		"pools": schema.Setting{
			Section: "client", ID: "3n4b5urk1ft4fl3mg5e62d9ado", State: schema.SettingOK, Detail: "AccessDeniedException",
			Data: `{"ClientName":"web","RefreshTokenValidity":30}`, SnapshotID: "20261120T020000Z",
		},
		"snapshots": schema.Snapshot{
			ID: "20261120T020000Z", Begin: at(2, 0), End: at(2, 4), Complete: true, Counts: map[string]int64{"groups": 12, "users": 2008},
		}.Row(),
		"rejected": schema.Reject{
			Segment: 17, Record: 4211, ID: "90020261119083000123456", Kind: schema.KindAuth0Log,
			Reason: "auth0 log: no JSON, or nested too deep: cannot be mapped", Mapping: transform.Version, LandedAt: at(12, 0), RawData: `{"log_id":"9002…"}`,
		},
		"gaps": schema.Gap{
			Stream: "main", From: at(1, 0), To: at(9, 30), Reason: "skipped: the file could not be read",
			Input: "AWSLogs/123456789012/CloudTrail/…", DeclaredAt: at(12, 0), Segment: 18,
		},
		"drift": reconcile.Drift{
			ComparedAt: at(2, 10), LeftSource: "users", LeftSnapshot: "20261120T020000Z", RightSource: "pool", RightSnapshot: "20261120T020000Z",
			Type: reconcile.Status, Severity: reconcile.SeverityHigh, Confidence: reconcile.ConfidenceStrong, PersonKey: reconcile.PersonKey(ada),
			LeftID: ada, LeftName: "ada@acme.example", RightID: "26e5a4b4-90c1-70ab-1b7e-8d1f6a1b0f4e", RightName: "ada",
			Rule: reconcile.RuleEmail, Field: "status", LeftValue: "disabled", RightValue: "active",
			Detail: "same e-mail address, not verified on the right",
		},
		"persons": reconcile.Person{
			Source: "users", UserID: ada, UserName: "ada@acme.example", PersonKey: reconcile.PersonKey(ada),
			LinkRule: reconcile.RuleEmail, ValidFrom: time.Date(2021, 3, 1, 8, 0, 0, 0, time.UTC), ValidTo: &closed,
		},
	}
}

// ownExamples are their values, by table and column.
func ownExamples() map[string]map[string]string {
	all := map[string]map[string]string{}
	for table, row := range ownRows() {
		all[table] = map[string]string{}
		for path, texts := range values(row) {
			all[table][path] = texts[0]
		}
	}
	return all
}
