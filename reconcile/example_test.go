package reconcile_test

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/idtrail/idtrail/reconcile"
	"github.com/idtrail/idtrail/schema"
)

func ExampleCompare() {
	at := time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	snapshot := schema.Snapshot{ID: "20260301T030000Z", Begin: at, End: at.Add(time.Minute), Complete: true}
	verified := true
	left := reconcile.Side{Source: "acme_users", Snapshot: snapshot, Users: users(
		schema.User{UserID: "auth0|1", Status: schema.UserDisabled, EmailNorm: "ada@example.com", EmailVerified: &verified},
		schema.User{UserID: "auth0|2", Status: schema.UserActive},
	)}
	right := reconcile.Side{Source: "pool", Snapshot: snapshot, Users: users(
		schema.User{UserID: "5f0c", Status: schema.UserActive, EmailNorm: "ada@example.com", EmailVerified: &verified},
	)}
	result, err := reconcile.Compare(context.Background(), left, right, reconcile.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = result.Close() }()
	for d, err := range result.Rows() {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s: %s %q, %s %q\n", d.Type, d.LeftID, d.LeftValue, d.RightID, d.RightValue)
	}
	if err := reconcile.WriteTable(io.Discard, result.Summary, result.Rows(), reconcile.TableOptions{}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// missing_right: auth0|2 "",  ""
	// status: auth0|1 "disabled", 5f0c "active"
}
