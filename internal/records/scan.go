package records

// verdict is what the scanner says of the bytes it was given.
type verdict uint8

const (
	more    verdict = iota // no fault so far, and not the end
	done                   // the value ends before the returned index
	bad                    // the byte at the returned index cannot stand there
	wrapper                // an array of records begins before the returned index
)

// maxDepth is how deep a record may nest. No vendor comes near, and a file of
// opening brackets must not cost more than it is long.
const maxDepth = 512

type scanState uint8

const (
	inValue  scanState = iota // a value has to come
	inArray                   // a value or ]
	inObject                  // a key or }
	inKey                     // a key
	inColon                   // :
	inAfter                   // , or the closing bracket
	inString
	inEscape
	inHex
	inLiteral
	inMinus
	inZero
	inInt
	inDot
	inFrac
	inExp
	inExpSign
	inExpInt
)

// scanner checks one JSON value byte by byte, strictly but for the bytes above
// 0x7f in strings, which need not be UTF-8. It can be stopped anywhere and fed
// again.
type scanner struct {
	state scanState
	stack []byte // the open brackets
	rest  string // what has to follow of a literal
	hex   int    // digits left of \uXXXX
	isKey bool   // the string is a key
	// wrappers says to look for the members that hold arrays of records;
	// keyFrom and keyTo are where the last key of the outermost object stands,
	// marked that a key has shown it to be a record itself.
	wrappers       bool
	keyFrom, keyTo int
	marked         bool
}

func (s *scanner) reset(wrappers bool) {
	*s = scanner{stack: s.stack[:0], wrappers: wrappers}
}

// run goes on at index i of b, whose index 0 is the first byte of the value.
func (s *scanner) run(b []byte, i int) (int, verdict) {
	for i < len(b) {
		if s.state == inString {
			if i = plain(b, i); i == len(b) {
				break
			}
		}
		v := s.step(b, i)
		switch v {
		case more:
			i++
		case done:
			// A number ends at the first byte that is not of it.
			if s.state < inMinus {
				i++
			}
			return i, done
		case wrapper:
			return i + 1, wrapper
		case bad:
			return i, bad
		}
	}
	return i, more
}

// end says whether the value is whole if no byte follows: so with numbers.
func (s *scanner) end() bool {
	return len(s.stack) == 0 && (s.state == inZero || s.state == inInt || s.state == inFrac || s.state == inExpInt)
}

// plain returns the index of the next byte in a string that is not just text.
func plain(b []byte, i int) int {
	for i < len(b) && b[i] >= 0x20 && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}

func (s *scanner) step(b []byte, i int) verdict {
	c := b[i]
	switch s.state {
	case inString:
		return s.inText(b, i)
	case inEscape:
		return s.escape(c)
	case inHex:
		return s.hexDigit(c)
	case inLiteral:
		return s.literal(c)
	case inMinus, inZero, inInt, inDot, inFrac, inExp, inExpSign, inExpInt:
		return s.number(c)
	default:
		if isSpace(c) {
			return more
		}
		return s.token(b, i)
	}
}

func (s *scanner) token(b []byte, i int) verdict {
	c := b[i]
	switch s.state {
	case inColon:
		if c != ':' {
			return bad
		}
		s.state = inValue
		return more
	case inAfter:
		return s.after(c)
	case inObject, inKey:
		if c == '}' && s.state == inObject {
			return s.close()
		}
		if c != '"' {
			return bad
		}
		s.state, s.isKey, s.keyFrom = inString, true, i+1
		return more
	default:
		if c == ']' && s.state == inArray {
			return s.close()
		}
		return s.value(b, i)
	}
}

func (s *scanner) after(c byte) verdict {
	top := s.stack[len(s.stack)-1]
	switch {
	case c == ',' && top == '{':
		s.state = inKey
		return more
	case c == ',':
		s.state = inValue
		return more
	case c == '}' && top == '{', c == ']' && top == '[':
		return s.close()
	default:
		return bad
	}
}

func (s *scanner) value(b []byte, i int) verdict {
	switch c := b[i]; c {
	case '{', '[':
		return s.open(b, c)
	case '"':
		s.state, s.isKey = inString, false
	case '-':
		s.state = inMinus
	case '0':
		s.state = inZero
	case 't':
		s.state, s.rest = inLiteral, "true"[1:]
	case 'f':
		s.state, s.rest = inLiteral, "false"[1:]
	case 'n':
		s.state, s.rest = inLiteral, "null"[1:]
	default:
		if c < '1' || c > '9' {
			return bad
		}
		s.state = inInt
	}
	return more
}

func (s *scanner) open(b []byte, c byte) verdict {
	if len(s.stack) == maxDepth {
		return bad
	}
	s.stack = append(s.stack, c)
	if c == '{' {
		s.state = inObject
		return more
	}
	s.state = inArray
	if s.wrappers && !s.marked && len(s.stack) == 2 && s.stack[0] == '{' && isWrapper(b[s.keyFrom:s.keyTo]) {
		return wrapper
	}
	return more
}

func (s *scanner) close() verdict {
	s.stack = s.stack[:len(s.stack)-1]
	return s.over()
}

// over is the state behind a value.
func (s *scanner) over() verdict {
	s.state = inAfter
	if len(s.stack) == 0 {
		return done
	}
	return more
}

func (s *scanner) inText(b []byte, i int) verdict {
	switch {
	case b[i] == '\\':
		s.state = inEscape
		return more
	case b[i] != '"':
		return bad
	case !s.isKey:
		return s.over()
	}
	s.state, s.isKey = inColon, false
	if s.wrappers && len(s.stack) == 1 {
		s.keyTo = i
		s.marked = s.marked || isMark(b[s.keyFrom:i])
	}
	return more
}

func (s *scanner) escape(c byte) verdict {
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.state = inString
	case 'u':
		s.state, s.hex = inHex, 4
	default:
		return bad
	}
	return more
}

func (s *scanner) hexDigit(c byte) verdict {
	if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
		return bad
	}
	if s.hex--; s.hex == 0 {
		s.state = inString
	}
	return more
}

func (s *scanner) literal(c byte) verdict {
	if c != s.rest[0] {
		return bad
	}
	if s.rest = s.rest[1:]; s.rest == "" {
		return s.over()
	}
	return more
}

func (s *scanner) number(c byte) verdict {
	next, ok := numberStep(s.state, c)
	switch {
	case ok:
		s.state = next
		return more
	case s.state == inMinus || s.state == inDot || s.state == inExp || s.state == inExpSign:
		return bad
	case len(s.stack) == 0:
		return done
	}
	s.state = inAfter
	if isSpace(c) {
		return more
	}
	return s.after(c)
}

func numberStep(state scanState, c byte) (scanState, bool) {
	switch {
	case isDigit(c):
		return digitStep(state, c)
	case state == inExp:
		return inExpSign, c == '+' || c == '-'
	case state != inZero && state != inInt && state != inFrac:
		return state, false
	case c == '.':
		return inDot, state != inFrac
	default:
		return inExp, c|0x20 == 'e'
	}
}

func digitStep(state scanState, c byte) (scanState, bool) {
	switch state {
	case inMinus:
		if c == '0' {
			return inZero, true
		}
		return inInt, true
	case inZero:
		return state, false
	case inDot:
		return inFrac, true
	case inExp, inExpSign:
		return inExpInt, true
	default:
		return state, true
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// isWrapper says whether a member of that name, if it is an array of objects,
// holds the records: trail files, ListUsers, Auth0's include_totals,
// LookupEvents, AdminListUserAuthEvents, what CloudWatch Logs hands on.
func isWrapper(key []byte) bool {
	switch string(key) {
	case "Records", "Users", "users", "logs", "Events", "AuthEvents", "logEvents":
		return true
	}
	return false
}

// isMark says whether a member of that name shows the object to be a record, so
// that none of its members is taken for a list of records.
func isMark(key []byte) bool {
	switch string(key) {
	case "_id", "log_id", "date", "data", "detail", "detail-type", "user_id", "identities", "Username", "Attributes",
		"UserAttributes", "attributes", "username", "eventID", "eventName", "eventTime", "eventSource", "EventId", "CloudTrailEvent":
		return true
	}
	return false
}
