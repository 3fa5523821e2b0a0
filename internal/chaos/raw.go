package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/tidwall/gjson"

	"github.com/idtrail/idtrail/schema"
)

// header is what is read of a segment's header: by code of our own, for what the
// program's reads and writes alike could be wrong alike.
type header struct {
	Source   string    `json:"source"`
	Seq      int64     `json:"seq"`
	LandedAt time.Time `json:"landed_at"`
	Count    int64     `json:"count"`
	SHA256   string    `json:"sha256"`
	Prev     string    `json:"prev"`
	Gaps     []json.RawMessage
	Kinds    []struct {
		Kind  schema.Kind
		Count int64
	}
	Snapshot *struct {
		ID       string
		Begin    time.Time
		End      time.Time
		Complete bool
	}
}

// landed is a record in raw.
type landed struct {
	kind     schema.Kind
	line     []byte
	at       time.Time // of landing
	snapshot string
}

// chain is what raw holds of a source.
type chain struct {
	records  []landed
	segments int
	gaps     int
	// complete snapshots, by id: when they began and ended.
	complete map[string][2]time.Time
}

// readChain reads a source's segments, and holds each against the one before.
func readChain(dir string) (*chain, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.ndjson.zst"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	c := &chain{complete: map[string][2]time.Time{}}
	prev := ""
	for i, file := range files {
		h, hash, lines, err := readSegment(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if h.Seq != int64(i) || h.Prev != prev || filepath.Base(file) != fmt.Sprintf("%012d.ndjson.zst", i) {
			return nil, fmt.Errorf("%s: the chain is broken: number %d, before it %q, want %d and %q", file, h.Seq, h.Prev, i, prev)
		}
		prev = hash
		c.segments++
		c.gaps += len(h.Gaps)
		c.add(h, lines)
	}
	return c, nil
}

func (c *chain) add(h *header, lines [][]byte) {
	snapshot := ""
	if h.Snapshot != nil {
		snapshot = h.Snapshot.ID
		if h.Snapshot.Complete {
			c.complete[snapshot] = [2]time.Time{h.Snapshot.Begin, h.Snapshot.End}
		}
	}
	for _, run := range h.Kinds {
		for range run.Count {
			c.records = append(c.records, landed{kind: run.Kind, line: lines[0], at: h.LandedAt, snapshot: snapshot})
			lines = lines[1:]
		}
	}
}

// readSegment unpacks a file: a line of JSON, and a line for each record.
func readSegment(file string) (h *header, hash string, lines [][]byte, err error) {
	packed, err := os.ReadFile(file)
	if err != nil {
		return nil, "", nil, err
	}
	z, err := zstd.NewReader(nil)
	if err != nil {
		return nil, "", nil, err
	}
	defer z.Close()
	text, err := z.DecodeAll(packed, nil)
	if err != nil {
		return nil, "", nil, err
	}
	first, body, _ := bytes.Cut(text, []byte("\n"))
	h = &header{}
	if err := json.Unmarshal(first, h); err != nil {
		return nil, "", nil, err
	}
	if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != h.SHA256 {
		return nil, "", nil, fmt.Errorf("its lines are not those of its header")
	}
	if len(body) > 0 {
		lines = bytes.Split(bytes.TrimSuffix(body, []byte("\n")), []byte("\n"))
	}
	if int64(len(lines)) != h.Count {
		return nil, "", nil, fmt.Errorf("%d lines, its header says %d", len(lines), h.Count)
	}
	sum := sha256.Sum256(first)
	return h, hex.EncodeToString(sum[:]), lines, nil
}

// nativeID is the vendor's id of a record, read from its line.
func nativeID(source string, line []byte) string {
	switch source {
	case "acme", "old":
		return gjson.GetBytes(line, "log_id").String()
	case "acme_users":
		return gjson.GetBytes(line, "user.user_id").String()
	case "pool":
		return gjson.GetBytes(line, `user.Attributes.#(Name=="sub").Value`).String()
	default:
		return gjson.GetBytes(line, "eventID").String()
	}
}
