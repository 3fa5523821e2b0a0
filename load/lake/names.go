package lake

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go/bloom"
	"github.com/parquet-go/parquet-go/bloom/xxhash"

	"github.com/idtrail/idtrail/schema"
)

// An object of events ends with an index of the names in it: for each row group
// a filter that says which ids, user names, e-mail addresses and source addresses
// are surely not in it. Most objects hold nothing of a given person, and are then
// done with after one short read of their end, their footer not looked at.
//
// The filters are the split-block Bloom filters of Parquet, over XXH64. Parquet's
// own place for them is not used: it has one for each column, of the values as
// they are written, but names are to be found in any case of letters, and in
// twelve columns at once. They lie between the page index and the footer, where
// readers that go by the offsets in the footer, which is all of them, never look:
//
//	blocks of 32 bytes, row group by row group
//	the number of blocks of each row group, 4 bytes each
//	the number of row groups, 4 bytes
//	CRC-32C of all of that, 4 bytes
//	indexMagic
//	the footer, its length and PAR1
//
// Numbers are little endian. An object without it, as older versions wrote them,
// is searched column by column.
const (
	indexMagic = "idtname1"
	// indexEnd is the length of what is behind the numbers of blocks.
	indexEnd = 4 + 4 + len(indexMagic)
	// footerEnd is the length of what is behind a footer.
	footerEnd = 4 + len(parquetMagic)
	// bitsPerName makes one lookup in about a thousand find what is not there.
	bitsPerName = 16
)

// nameIndex is the index of an object: a filter for each row group.
type nameIndex []bloom.SplitBlockFilter

// mayHold says whether a row group may hold one of the names.
func (x nameIndex) mayHold(group int, names []uint64) bool {
	return len(x[group]) > 0 && slices.ContainsFunc(names, x[group].Check)
}

// nameIndexer collects the names of an object's rows.
type nameIndexer struct {
	names []uint64 // of the row group that is open
	index nameIndex
	fold  []byte
}

func (x *nameIndexer) reset() { x.names, x.index = x.names[:0], nil }

func (x *nameIndexer) add(name string) {
	if name == "" {
		return
	}
	x.fold = appendFolded(x.fold[:0], name)
	x.names = append(x.names, xxhash.Sum64(x.fold))
}

// endGroup makes the filter of the rows since the last one.
func (x *nameIndexer) endGroup() {
	slices.Sort(x.names)
	distinct := slices.Compact(x.names)
	filter := make(bloom.SplitBlockFilter, bloom.NumSplitBlocksOf(int64(len(distinct)), bitsPerName))
	filter.InsertBulk(distinct)
	x.index = append(x.index, filter)
	x.names = x.names[:0]
}

// encode is the index as it stands in front of the footer.
func (x nameIndex) encode() []byte {
	var text []byte
	for _, filter := range x {
		text = append(text, filter.Bytes()...)
	}
	for _, filter := range x {
		text = binary.LittleEndian.AppendUint32(text, uint32(len(filter))) //nolint:gosec // of what fits memory
	}
	text = binary.LittleEndian.AppendUint32(text, uint32(len(x))) //nolint:gosec // of what fits memory
	text = binary.LittleEndian.AppendUint32(text, crc32.Checksum(text, crc32.MakeTable(crc32.Castagnoli)))
	return append(text, indexMagic...)
}

// shortError says how much of an object's end is needed.
type shortError int64

func (e shortError) Error() string { return fmt.Sprintf("%d bytes of its end are needed", int64(e)) }

// indexOf returns the index out of the end of an object of size bytes, nil if it
// has none that can be trusted; a shortError where the end does not hold the whole
// of it.
func indexOf(end []byte, size int64) (nameIndex, error) {
	all := int64(len(end))
	end, err := cutFooter(end, size)
	if err != nil || len(end) < indexEnd || string(end[len(end)-len(indexMagic):]) != indexMagic {
		return nil, err
	}
	end = end[:len(end)-len(indexMagic)]
	sum := binary.LittleEndian.Uint32(end[len(end)-4:])
	groups := int64(binary.LittleEndian.Uint32(end[len(end)-8:]))
	at := int64(len(end)) - 8 - 4*groups
	if at < 0 {
		return nil, need(all-at, size)
	}
	counts := end[at : len(end)-8]
	blocks := int64(0)
	for c := range slices.Chunk(counts, 4) {
		blocks += int64(binary.LittleEndian.Uint32(c))
	}
	begin := at - blocks*bloom.BlockSize
	if begin < 0 {
		return nil, need(all-begin, size)
	}
	if crc32.Checksum(end[begin:len(end)-4], crc32.MakeTable(crc32.Castagnoli)) != sum {
		return nil, nil
	}
	return decodeIndex(end[begin:at], counts), nil
}

// need asks for more of an object's end. What cannot be there is no index: its
// numbers are not what they should be.
func need(n, size int64) error {
	if n > size {
		return nil
	}
	return shortError(n)
}

// cutFooter cuts off the footer and what is behind it.
func cutFooter(end []byte, size int64) ([]byte, error) {
	if len(end) < footerEnd || string(end[len(end)-len(parquetMagic):]) != parquetMagic {
		return nil, errNoParquet
	}
	length := int64(binary.LittleEndian.Uint32(end[len(end)-footerEnd:]))
	if length+int64(footerEnd) > size {
		return nil, errNoParquet
	}
	at := int64(len(end)-footerEnd) - length
	if short := int64(indexEnd) - at; short > 0 && int64(len(end)) < size {
		return nil, shortError(min(size, int64(len(end))+short))
	}
	return end[:max(at, 0)], nil
}

// errNoParquet is of an object whose end is not that of a Parquet file.
var errNoParquet = errors.New("it does not end as a Parquet file does: it was cut off, or is none")

func decodeIndex(blocks, counts []byte) nameIndex {
	var index nameIndex
	for c := range slices.Chunk(counts, 4) {
		n := int(binary.LittleEndian.Uint32(c)) * bloom.BlockSize
		// A filter is of numbers, which are aligned, as bytes are not.
		filter := make(bloom.SplitBlockFilter, n/bloom.BlockSize)
		copy(filter.Bytes(), blocks[:n])
		index, blocks = append(index, filter), blocks[n:]
	}
	return index
}

// eachName calls f with what an event may be found by; "" for what it lacks.
func eachName(e *schema.Event, f func(name string)) {
	users := []*schema.UserObject{e.User, e.UserResult, nil}
	if e.Actor != nil {
		users[2] = e.Actor.User
	}
	for _, u := range users {
		if u != nil {
			f(u.UID)
			f(u.UIDAlt)
			f(u.Name)
			f(u.EmailAddr)
		}
	}
	if e.SrcEndpoint != nil {
		f(canonicalAddress(e.SrcEndpoint.IP))
	}
}

// hashName is a name as a filter knows it.
func hashName(name string) uint64 { return xxhash.Sum64(appendFolded(nil, name)) }

// appendFolded appends a form of s that is the same for all that strings.EqualFold
// holds to be equal: of each letter the least that is the same but for case.
func appendFolded(to []byte, s string) []byte {
	for _, r := range s {
		to = utf8.AppendRune(to, foldRune(r))
	}
	return to
}

func foldRune(r rune) rune {
	if r < utf8.RuneSelf {
		if 'a' <= r && r <= 'z' {
			r -= 'a' - 'A'
		}
		return r
	}
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	return least
}

// checkGroups says whether the index is of so many row groups.
func (x nameIndex) checkGroups(n int) error {
	if len(x) != n {
		return fmt.Errorf("index of names: it has %d row groups, the file %d", len(x), n)
	}
	return nil
}
