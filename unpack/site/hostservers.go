package site

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// GitFiles are the addresses that a git client asks for below a repository, by a name that may
// lack the ".git" at its end.
const GitFiles = `HEAD|info/refs|objects/.+`

var gitFiles = regexp.MustCompile(`^/(?:` + GitFiles + `)$`)

const gitSuffix = ".git"

// hostRules are the rules of one public name.
type hostRules struct {
	Host string
	// Name is Host without a port.
	Name string
	// Pattern and CaddyPattern match it, where a port is written and where it may be.
	Pattern, CaddyPattern string
	Rules                 []hostRule
}

// hostRule is the rule for one prefix, as patterns for regular expressions of PCRE and RE2.
type hostRule struct {
	// Pattern matches the decoded path, RawPattern the path as clients write it.
	Pattern, RawPattern string
	Path, At            string
	// GitPath is the path without ".git", Git and RawGit match it; empty: it is no
	// repository of git.
	GitPath, Git, RawGit string
	// Registry means that Path itself is the question whether there is a registry.
	Registry bool
}

// hostData is the part of serverData that is about public names.
type hostData struct {
	HostsPath             string
	Private               string // PrivateDir with a '/' before it
	Hosts                 []hostRules
	GitFiles, RawGitFiles string
}

// rules returns what web servers go by, each prefix of a host once.
func (names *PublicNames) rules() (all []hostRules) {
	for i, n := range names.Names {
		if i == 0 || names.Names[i-1].Host != n.Host {
			port := ""
			if hostOnly(n.Host) == n.Host {
				port = `(?::80|:443)?`
			}
			name, with, _ := strings.Cut(n.Host, ":")
			if with != "" {
				with = ":" + with
			}
			all = append(all, hostRules{Host: n.Host, Name: name, Pattern: regexp.QuoteMeta(n.Host), CaddyPattern: regexp.QuoteMeta(name) + `\.?` + with + port})
		} else if names.Names[i-1].Path == n.Path {
			continue
		}
		rule := hostRule{Pattern: regexp.QuoteMeta(n.Path), RawPattern: rawPattern(n.Path), Path: n.Path, At: n.At, Registry: n.isRegistry()}
		if short, ok := n.shortGit(); ok {
			rule.GitPath, rule.Git, rule.RawGit = short, regexp.QuoteMeta(short), rawPattern(short)
		}
		last := &all[len(all)-1]
		last.Rules = append(last.Rules, rule)
	}
	return all
}

// rawPattern matches an answerable path as clients may write it: apt for one escapes characters
// that need none.
func rawPattern(p string) string {
	var b strings.Builder
	for _, c := range []byte(p) {
		switch {
		case c == '/' || c == '.' || c == '-' || c == '_' || isAlphanumeric(rune(c)):
			b.WriteString(regexp.QuoteMeta(string(rune(c))))
		case c <= ' ' || c == '%' || c >= utf8.RuneSelf:
			b.WriteString(escapedByte(c)) // an address has them escaped
		default:
			b.WriteString("(?:" + regexp.QuoteMeta(string(rune(c))) + "|" + escapedByte(c) + ")")
		}
	}
	return b.String()
}

// escapedByte matches a byte in the percent encoding, in lower and upper case (RFC 3986
// section 2.1).
func escapedByte(c byte) string {
	var b strings.Builder
	b.WriteByte('%')
	for _, digit := range fmt.Sprintf("%02x", c) {
		if upper := unicode.ToUpper(digit); upper != digit {
			b.WriteString("[" + string(digit) + string(upper) + "]")
		} else {
			b.WriteRune(digit)
		}
	}
	return b.String()
}

// caddyPrefix returns an answerable path for Caddy's strip_prefix: an escaped byte is compared with the
// same in the address, any other one with both of its forms.
func caddyPrefix(p string) string {
	var b strings.Builder
	for _, c := range []byte(p) {
		if c == '%' || c == ' ' || c >= utf8.RuneSelf {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// apacheText returns an answerable path in a substitution of mod_rewrite, where a percent sign begins
// what is replaced.
func apacheText(p string) string { return strings.ReplaceAll(p, "%", `\%`) }

// isRegistry reports whether Path itself is where clients of images ask whether there is a
// registry (OCI distribution specification, "Endpoints", end-1).
func (n *PublicName) isRegistry() bool {
	return n.Path == "/v2" && strings.HasPrefix(n.At, "/"+imagesDir)
}

// shortGit returns the path of a git repository without ".git"; false: it is none.
func (n *PublicName) shortGit() (string, bool) {
	short, ok := strings.CutSuffix(n.Path, gitSuffix)
	return short, ok && short != "" && !strings.HasSuffix(short, "/") && strings.HasPrefix(n.At, "/git/")
}

// covers returns the web path for a clean path of the host; false: the line is not about it.
func (n *PublicName) covers(p string) (at string, ok bool) {
	if rest, below := strings.CutPrefix(p, n.Path); below && (rest == "" || rest[0] == '/') {
		if n.isRegistry() && (rest == "" || rest == "/") {
			return "/v2/", true
		}
		return n.At + rest, true
	}
	short, isGit := n.shortGit()
	if rest, below := strings.CutPrefix(p, short); isGit && below && gitFiles.MatchString(rest) {
		return n.At + rest, true
	}
	return "", false
}
