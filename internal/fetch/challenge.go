package fetch

import "strings"

// challenge is what a server wants to be shown (RFC 9110 section 11.6.1).
type challenge struct {
	scheme string // in lower case
	params map[string]string
}

// maxChallenges of one answer are read: more is not a server that wants to be
// understood.
const maxChallenges = 16

// parseChallenges reads the values of WWW-Authenticate: what cannot be read is
// left out, so that one strange challenge does not hide the next.
func parseChallenges(values []string) []challenge {
	var all []challenge
	for _, s := range values {
		for {
			s = strings.TrimLeft(s, " \t,")
			word, rest := cutToken(s)
			if word == "" || len(all) == maxChallenges {
				break
			}
			s = strings.TrimLeft(rest, " \t")
			if !strings.HasPrefix(s, "=") {
				all = append(all, challenge{scheme: strings.ToLower(word), params: map[string]string{}})
				continue
			}
			var value string
			value, s = cutValue(strings.TrimLeft(strings.TrimLeft(s, "="), " \t"))
			if len(all) > 0 {
				all[len(all)-1].params[strings.ToLower(word)] = value
			}
		}
	}
	return all
}

// cutToken takes a token (RFC 9110 section 5.6.2) off the front.
func cutToken(s string) (token, rest string) {
	i := strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i:]
}

// cutValue takes a token or a quoted string off the front. A token may hold
// more than RFC 9110 allows: some servers do not quote URLs.
func cutValue(s string) (value, rest string) {
	if !strings.HasPrefix(s, `"`) {
		i := strings.IndexAny(s, " \t,")
		if i < 0 {
			return s, ""
		}
		return s[:i], s[i:]
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:]
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), ""
}
