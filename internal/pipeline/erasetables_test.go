package pipeline_test

import (
	"testing"

	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/reconcile"
	"github.com/idtrail/idtrail/schema"
)

func TestEraseTables(t *testing.T) {
	r := newRig(t)
	left := &script{name: "users", pages: snapshotOf(day0, schema.KindAuth0User, auth0Line("1", "ann@example.com"), auth0Line("2", "bob@example.com"))}
	right := &script{name: "pool", pages: snapshotOf(day0, schema.KindCognitoUser, poolLine("s-1", "N"))}
	if rep := r.pair(left, right); rep.Err != nil {
		t.Fatal(rep.Err)
	}
	o := pipeline.EraseOptions{Names: []string{"ann@example.com", "auth0|1"}, Key: []byte("k")}
	dry := o
	dry.DryRun = true
	wantRows, wantObjects, err := r.pipeline().EraseTables(t.Context(), dry)
	if err != nil || wantRows == 0 || wantObjects < 4 {
		t.Fatalf("dry: %d rows, %d objects, %v", wantRows, wantObjects, err)
	}
	reports := len(keysOf(t, r.lake, "reports/"))
	rows, objects, err := r.pipeline().EraseTables(t.Context(), o)
	if err != nil || rows != wantRows || reports == 0 || len(keysOf(t, r.lake, "reports/")) != 0 {
		t.Errorf("%d rows, %d objects, %v, want %d; reports are left: %v", rows, objects, err, wantRows, keysOf(t, r.lake, "reports/"))
	}
	n := 0
	for row, err := range lake.ReadTable[reconcile.Person](t.Context(), r.lake, "persons/persons.parquet") {
		if err != nil || row.UserID == "auth0|1" || row.UserName == "ann@example.com" {
			t.Errorf("%+v, %v", row, err)
		}
		n++
	}
	if n != 2 {
		t.Errorf("%d persons are left, want the other two accounts", n)
	}
	if rows, _, err := r.pipeline().EraseTables(t.Context(), o); err != nil || rows != 0 {
		t.Errorf("a second time: %d rows, %v", rows, err)
	}
}
