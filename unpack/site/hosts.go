package site

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// HostsPath holds the PublicNames of a generation as JSON.
const HostsPath = Dir + "/hosts.json"

// PrivateDir marks files that must not be served under a public name. In a folder that several
// sets share and that a public name leads to, it has an empty file for each file of a set that
// may not answer for that name. Servers look whether the mark exists.
const PrivateDir = Dir + "/private"

const (
	hostsFormat = 1
	// maxSetNames bounds the prefixes that one set answers for. They are rules that a
	// web server goes through at a request, and a set must not make that arbitrarily slow.
	maxSetNames = 5000
	// maxHostsSize bounds hosts.json when it is read back: a line has at most three
	// paths, and mirrors have few sets.
	maxHostsSize = 256 << 20 // bytes
	keysMount    = "keys"
)

// PublicName is a prefix of the public Internet that this mirror answers for: what a client
// asks for at Scheme, Host and Path, and below Path, is in the mirror at At and below At.
type PublicName struct {
	Scheme string `json:"scheme"` // http or https
	// Host is in lower case, with a port where it is not the scheme's own.
	Host string `json:"host"`
	// Path is empty for the whole host; otherwise it begins with a slash and has none at its end.
	Path string `json:"path"`
	// At is a web path of the mirror in the same form.
	At string `json:"at"`
	// Set, Source and Kind state whose it is.
	Set    string `json:"set"`
	Source string `json:"source"`
	Kind   string `json:"kind"`
}

// Claim is a source that stands for a prefix, and where.
type Claim struct {
	Set    string `json:"set"`
	Source string `json:"source"`
	At     string `json:"at"`
}

// Unanswered is a prefix that this mirror holds the content of and does not answer for.
type Unanswered struct {
	Host   string  `json:"host"`
	Path   string  `json:"path"`
	Reason string  `json:"reason"`
	Claims []Claim `json:"claims"`
}

// String returns the text for people.
func (u *Unanswered) String() string {
	claims := make([]string, len(u.Claims))
	for i, c := range u.Claims {
		claims[i] = c.Source + " of " + c.Set
	}
	return fmt.Sprintf("%s%s: not answered: %s (%s)", u.Host, u.Path, u.Reason, strings.Join(claims, ", "))
}

// PublicNames is /_gapbundle/hosts.json: for which public names the mirror can answer. Whether
// it does is decided by whoever configures the web server and the names inside.
type PublicNames struct {
	Format int `json:"format"`
	// Names are in the order of hosts, then of paths, a longer prefix before a shorter one.
	// Two sources may share a line's host, path and at; no two lines of a host and a path
	// differ in at.
	Names      []PublicName `json:"names"`
	Unanswered []Unanswered `json:"unanswered,omitempty"`
	// LeftOut is how many prefixes are beyond the bound of a set.
	LeftOut int `json:"leftOut,omitempty"`
}

// Answer is what the keys that signed a set allow for a public name.
type Answer int

// The rights of a set to a host.
const (
	// AnswerNo: its keys were given other hosts.
	AnswerNo Answer = iota
	// AnswerAlone: its keys were given no hosts, so it answers for what no other set has.
	AnswerAlone
	// AnswerNamed: its keys were given the host by name.
	AnswerNamed
)

// claimed is a prefix that a source claims.
type claimed struct {
	PublicName
	first bool          // the spec has "public: true"
	wrong string        // why it is nobody's to answer; empty: nothing
	key   bundle.Digest // the content of a key file; zero: it is none
}

// MergePublic returns what the mirror answers for, from the signed annotations of all sets.
// base is the mirror's own address, which no set may take. Errors match bundle.ErrMalformed.
func MergePublic(sets []Set, base string) (*PublicNames, error) {
	names := &PublicNames{Format: hostsFormat, Names: []PublicName{}}
	own, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	var all []claimed
	for i := range sets {
		claims, left, err := sets[i].claims()
		if err != nil {
			return nil, err
		}
		all, names.LeftOut = append(all, claims...), names.LeftOut+left
	}
	slices.SortFunc(all, func(a, b claimed) int { return a.PublicName.compare(b.PublicName) })
	refused := hostsRefused(sets, all)
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].Host == all[0].Host && all[n].Path == all[0].Path {
			n++
		}
		names.decide(all[:n], own.Hostname(), refused)
		all = all[n:]
	}
	return names, nil
}

// claims returns the claims of one set, bounded.
func (s *Set) claims() (all []claimed, left int, err error) {
	for i := range s.Repositories {
		r := &s.Repositories[i]
		public, err := bundle.PublicOf(r.Annotations)
		if err != nil {
			return nil, 0, fmt.Errorf("set %s, repository %s: %w", s.Name, r.Name, err)
		}
		for _, p := range public {
			if len(all) == maxSetNames {
				left++
				continue
			}
			name := PublicName{Scheme: p.Scheme, Host: p.Host, Path: p.Path, At: "/" + path.Join(r.Mount, p.At), Set: s.Name, Source: r.Name, Kind: r.Kind}
			c := claimed{PublicName: name, first: r.Annotations[bundle.PublicFirstKey] == "true"}
			if p.Key {
				c.At = "/" + path.Join(keysMount, p.At)
				if c.key, err = s.keyFile(p.At); err != nil {
					return nil, 0, err
				}
				if c.key.IsZero() {
					c.wrong = "the set has no such key"
				}
			}
			all = append(all, c)
		}
	}
	return all, left, nil
}

// keyFile returns the content of a file below keys/ in the list of the set; zero: there is none.
func (s *Set) keyFile(name string) (bundle.Digest, error) {
	for i := range s.Repositories {
		if s.Repositories[i].Mount != keysMount {
			continue
		}
		for f, err := range s.Repositories[i].Files() {
			if err != nil || f.Path == name {
				return f.Digest, err
			}
		}
	}
	return bundle.Digest{}, nil
}

// compare puts longer paths of a host before shorter ones.
func (n PublicName) compare(o PublicName) int {
	return cmp.Or(strings.Compare(n.Host, o.Host), strings.Compare(o.Path, n.Path), strings.Compare(n.At, o.At),
		strings.Compare(o.Scheme, n.Scheme), strings.Compare(n.Set, o.Set), strings.Compare(n.Source, o.Source))
}

// hostsRefused reports, by set and host, why a set may not answer for a host of its own.
func hostsRefused(sets []Set, all []claimed) map[[2]string]string {
	answer := map[[2]string]Answer{}
	having := map[string][]string{} // the sets that could, by host
	for i := range all {
		key := [2]string{all[i].Set, all[i].Host}
		if _, known := answer[key]; known {
			continue
		}
		answer[key] = AnswerAlone
		at := slices.IndexFunc(sets, func(s Set) bool { return s.Name == all[i].Set })
		if may := sets[at].Answers; may != nil {
			answer[key] = may(all[i].Host)
		}
		if answer[key] != AnswerNo {
			having[all[i].Host] = append(having[all[i].Host], all[i].Set)
		}
	}
	refused := map[[2]string]string{}
	for key, may := range answer {
		switch others := having[key[1]]; {
		case may == AnswerNo:
			refused[key] = "the keys of set " + key[0] + " were not given this host"
		case may == AnswerAlone && len(others) > 1:
			slices.Sort(others)
			refused[key] = "sets " + strings.Join(others, " and ") + " have this host, and the keys of " + key[0] + " were not given it"
		}
	}
	return refused
}

// decide adds the answer for one prefix of one host.
func (names *PublicNames) decide(all []claimed, own string, refused map[[2]string]string) {
	reason := ""
	switch host := all[0].Host; {
	case !servableHost(host):
		reason = "not the form of a public name"
	case hostOnly(host) == own:
		reason = "the mirror's own name"
	case !bundle.Answerable(all[0].Path):
		reason = reasonQuote
	}
	kept := slices.Clone(all)
	if reason == "" {
		kept = slices.DeleteFunc(kept, func(c claimed) bool {
			why := cmp.Or(c.wrong, refused[[2]string{c.Set, c.Host}])
			if why == "" && !bundle.Answerable(c.At) {
				why = reasonQuote
			}
			reason = cmp.Or(reason, why)
			return why != ""
		})
		if !sameAt(kept) {
			reason = "several sources stand for it, and not one place alone says public: true"
			kept = slices.DeleteFunc(kept, func(c claimed) bool { return !c.first })
		}
		if len(kept) > 0 && sameAt(kept) {
			for _, c := range kept {
				c.At = kept[0].At // of several files with the same keys one
				names.Names = append(names.Names, c.PublicName)
			}
			return
		}
	}
	u := Unanswered{Host: all[0].Host, Path: all[0].Path, Reason: reason}
	for _, c := range all {
		u.Claims = append(u.Claims, Claim{Set: c.Set, Source: c.Source, At: c.At})
	}
	names.Unanswered = append(names.Unanswered, u)
}

const reasonQuote = "characters that cannot be written into a web server's configuration"

// sameAt reports whether all are at one place, or are files with the same keys.
func sameAt(all []claimed) bool {
	return !slices.ContainsFunc(all, func(c claimed) bool { return c.At != all[0].At && (c.key.IsZero() || c.key != all[0].key) })
}

// hostOnly returns host without a port.
func hostOnly(host string) string {
	if name, port, ok := strings.Cut(host, ":"); ok && strings.Trim(port, "0123456789") == "" {
		return name
	}
	return host
}

// servableHost allows names that mean themselves in the configuration of web servers and of
// name servers, and takes nothing from the machine that uses it.
func servableHost(host string) bool {
	name, port, hasPort := strings.Cut(host, ":")
	if hasPort && (port == "" || len(port) > 5 || strings.Trim(port, "0123456789") != "") || len(name) > 253 {
		return false
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return labels[len(labels)-1] != "localhost"
}

// isAddress reports whether a host is no name but an IPv4 address.
func isAddress(host string) bool {
	_, err := netip.ParseAddr(hostOnly(host))
	return err == nil
}

// Lookup returns the line that answers for a path of a host, and the web path in the mirror
// that is the answer; false: none does. The path is decoded and clean; the host is in lower
// case, with a port where it is not the scheme's own.
func (names *PublicNames) Lookup(host, p string) (line PublicName, at string, ok bool) {
	i, _ := slices.BinarySearchFunc(names.Names, host, func(n PublicName, host string) int { return strings.Compare(n.Host, host) })
	for ; i < len(names.Names) && names.Names[i].Host == host; i++ {
		if at, ok := names.Names[i].covers(p); ok {
			return names.Names[i], at, true
		}
	}
	return PublicName{}, "", false
}

// Has reports whether a host is one of the names.
func (names *PublicNames) Has(host string) bool {
	_, ok := slices.BinarySearchFunc(names.Names, host, func(n PublicName, host string) int { return strings.Compare(n.Host, host) })
	return ok
}

// LookupURL works like Lookup, for a whole address, as documentation and programs write it. It ignores
// the query and the scheme.
func (names *PublicNames) LookupURL(address string) (line PublicName, at string, ok bool) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return PublicName{}, "", false
	}
	return names.Lookup(PublicHost(u.Host), u.Path)
}

// PublicHost returns the form that hosts have in hosts.json of what a client sent: in lower case,
// without a dot at the end and without the ports 80 and 443.
func PublicHost(host string) string {
	host = strings.ToLower(host)
	name, port := hostOnly(host), ""
	if name != host {
		port = host[len(name):]
	}
	if port == ":80" || port == ":443" || port == ":" {
		port = ""
	}
	return strings.TrimSuffix(name, ".") + port
}

// Hosts returns the names of all lines, each once, in order.
func (names *PublicNames) Hosts() (all []string) {
	for _, n := range names.Names {
		if len(all) == 0 || all[len(all)-1] != n.Host {
			all = append(all, n.Host)
		}
	}
	return all
}

// ReadPublicNames returns what a generation can answer for; root is its folder. An older
// generation has no such file: the error matches fs.ErrNotExist.
func ReadPublicNames(root *os.Root) (*PublicNames, error) {
	f, err := root.Open(HostsPath)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := bundle.ReadAllBounded(f, HostsPath, maxHostsSize)
	if err != nil {
		return nil, err
	}
	return parsePublicNames(b)
}

func parsePublicNames(b []byte) (*PublicNames, error) {
	var names PublicNames
	if err := json.Unmarshal(b, &names); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", HostsPath, err, errDamaged)
	}
	if names.Format != hostsFormat {
		return nil, fmt.Errorf("%s: format %d, this program knows %d: %w", HostsPath, names.Format, hostsFormat, bundle.ErrUnsupported)
	}
	return &names, nil
}

// publicChanged compares with the generation before. If it has no such file, or none
// that can be read, nobody uses the names.
func (w *writer) publicChanged() bool {
	if w.in.Previous == nil {
		return len(w.public.Names) > 0
	}
	before, err := ReadPublicNames(w.in.Previous)
	if err != nil {
		return len(w.public.Names) > 0
	}
	return !slices.Equal(before.Names, w.public.Names)
}

// hosts writes hosts.json.
func (w *writer) hosts() error {
	return w.file(HostsPath, func(out io.Writer) error {
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", " ")
		return enc.Encode(w.public)
	})
}
