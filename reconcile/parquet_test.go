package reconcile_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/idtrail/idtrail/reconcile"
)

// The rows are Parquet rows as they stand: Athena takes milliseconds in UTC and
// lower-case names.
func TestParquet(t *testing.T) {
	wantRoundTrip(t, drifts(t, everything(t)))
	wantRoundTrip(t, []reconcile.Person{
		{"acme", "auth0|1", "ada", "k", "K1", begin, nil}, {"pool", "s1", "", "k", "", begin, new(begin.AddDate(0, 0, 1))},
	})
	want := `message person {
	required binary source (STRING);
	required binary user_id (STRING);
	required binary user_name (STRING);
	required binary person_key (STRING);
	optional binary link_rule (STRING);
	required int64 valid_from (TIMESTAMP(isAdjustedToUTC=true,unit=MILLIS));
	optional int64 valid_to (TIMESTAMP(isAdjustedToUTC=true,unit=MILLIS));
}`
	if got := parquet.NewSchema("person", parquet.SchemaOf(reconcile.Person{})).String(); got != want {
		t.Errorf("columns: got %s, want %s", got, want)
	}
}

func wantRoundTrip[T any](t *testing.T, want []T) {
	t.Helper()
	var b bytes.Buffer
	if err := parquet.Write(&b, want); err != nil {
		t.Fatal(err)
	}
	got, err := parquet.Read[T](bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}
