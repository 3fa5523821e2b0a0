package datadog

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxTag is the longest tag, in characters.
const maxTag = 200

// fixedTags returns the tags of the config, in order.
func fixedTags(tags map[string]string) ([]string, error) {
	var fixed []string
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		if first, _ := utf8.DecodeRuneInString(key); !unicode.IsLetter(first) || strings.Contains(key, ":") {
			return nil, fmt.Errorf("tag %q: its key has to begin with a letter and hold no colon", key)
		}
		fixed = append(fixed, cleanTag(key+":"+tags[key]))
	}
	return fixed, nil
}

func cleanTag(tag string) string { return string(appendTag(nil, "", tag)) }

// appendTag appends prefix and value as Datadog would keep them: in lower case,
// letters, digits and _-:./ only, runs of anything else as one underscore, at
// most 200 characters, no colon or underscore at its end.
// https://docs.datadoghq.com/getting_started/tagging/#define-tags
func appendTag(dst []byte, prefix, value string) []byte {
	start := len(dst)
	dst = append(dst, prefix...)
	left := maxTag - len(prefix)
	for _, r := range value {
		if left == 0 {
			break
		}
		switch {
		case r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-:./", r)):
			dst = utf8.AppendRune(dst, unicode.ToLower(r))
		case dst[max(len(dst)-1, start)] == '_':
			continue
		default:
			dst = append(dst, '_')
		}
		left--
	}
	end := len(dst)
	for end > start && (dst[end-1] == ':' || dst[end-1] == '_') {
		end--
	}
	return dst[:end]
}
