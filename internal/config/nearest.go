package config

import (
	"math"
	"slices"
	"strings"
)

// suggest names the known word nearest to what was written, or all of them
// where none is near.
func suggest(written string, known []string) string {
	if len(known) == 0 {
		return "there is none at all"
	}
	if best := nearest(written, known); best != "" {
		return "did you mean " + best + "?"
	}
	return "known: " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
}

// nearest returns the known word that was likely meant, "" if none was.
func nearest(written string, known []string) string {
	best, least := "", math.MaxInt
	for _, word := range slices.Sorted(slices.Values(known)) {
		if d := distance(written, word); d < least {
			best, least = word, d
		}
	}
	if least > max(2, len(best)/3) || least >= min(len(best), len(written)) {
		return ""
	}
	return best
}

// distance is the Levenshtein distance of two words. Only the first 64 bytes of
// a are looked at, so that a huge key costs nothing.
func distance(a, b string) int {
	a = strings.ToLower(a[:min(len(a), 64)])
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j]+1, row[j+1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
