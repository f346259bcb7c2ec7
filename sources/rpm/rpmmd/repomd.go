package rpmmd

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
)

const (
	// MaxRepomd bounds a repomd.xml, which is held in memory; real ones have 10 KB.
	MaxRepomd = 4 << 20 // bytes
	maxData   = 256     // entries of a repomd.xml; each is a file to fetch
)

// Repomd is what a repomd.xml states.
type Repomd struct {
	// Revision is upstream's name of this state: most often seconds since 1970.
	Revision string
	Data     []Data
	// Tags are carried on to a repomd.xml that is made of this one.
	Tags []Tag
}

// Data is a metadata file that a repomd.xml lists.
type Data struct {
	// Type is what it is: "primary", "filelists", "group", ...
	Type string
	// Checksum and Size are of the file, Open of its content when unpacked. A
	// Size of -1 is not told.
	Checksum, OpenChecksum Checksum
	Size, OpenSize         int64
	// Location is below the repository, unless there is a BaseURL.
	Location, BaseURL string
	// Timestamp is in seconds since 1970.
	Timestamp int64
}

// Tag is a word about a repository: Kind is "content", "repo" or "distro".
type Tag struct{ Kind, CPE, Text string }

// Find returns the first file of a type; nil: there is none.
func (r *Repomd) Find(kind string) *Data {
	for i := range r.Data {
		if r.Data[i].Type == kind {
			return &r.Data[i]
		}
	}
	return nil
}

// Newest returns the latest timestamp of a listed file, in seconds since 1970.
func (r *Repomd) Newest() int64 {
	var latest int64
	for _, d := range r.Data {
		latest = max(latest, d.Timestamp)
	}
	return latest
}

// Revisions that are numbers between these are taken for seconds since 1970: 2001 to 2096.
const (
	firstDate = 1_000_000_000
	lastDate  = 4_000_000_000
)

// Date returns the latest timestamp of a listed file, which is when upstream made this state, as
// yum and dnf take it; zero: no file has one that can be a date.
func (r *Repomd) Date() time.Time { return date(r.Newest()) }

// RevisionDate returns the revision as a date, as createrepo_c writes it; zero: upstream counts
// in another way.
func (r *Repomd) RevisionDate() time.Time {
	seconds, err := strconv.ParseInt(r.Revision, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return date(seconds)
}

func date(seconds int64) time.Time {
	if seconds < firstDate || seconds > lastDate {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// ParseRepomd reads a repomd.xml. Errors match bundle.ErrMalformed.
func ParseRepomd(b []byte) (*Repomd, error) {
	d, err := newDocument(bytes.NewReader(b), "repomd")
	if err != nil {
		return nil, err
	}
	r := &Repomd{}
	for {
		start, err := d.next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = r.child(d, start)
		}
		if err != nil {
			return nil, err
		}
	}
	seen := map[string]bool{}
	for _, one := range r.Data {
		if seen[one.Type] {
			return nil, fmt.Errorf("%.60s: occurs twice: %w", one.Type, bundle.ErrMalformed)
		}
		seen[one.Type] = true
	}
	return r, nil
}

func (r *Repomd) child(d *document, start *token) error {
	switch start.name {
	case "revision":
		return d.each("revision", func(_ []string, t *token) error {
			if t.kind == charData && len(r.Revision) < 256 {
				r.Revision += string(bytes.TrimSpace(t.text))
			}
			return nil
		})
	case "tags":
		return d.each("tags", func(path []string, t *token) error {
			if len(path) != 2 || len(r.Tags) >= maxData {
				return nil
			}
			switch t.kind {
			case startTag:
				r.Tags = append(r.Tags, Tag{Kind: path[1], CPE: attr(t, "cpeid")})
			case charData:
				r.Tags[len(r.Tags)-1].Text += string(t.text)
			}
			return nil
		})
	case "data":
		if len(r.Data) == maxData {
			return fmt.Errorf("more than %d files: %w", maxData, bundle.ErrMalformed)
		}
		data, err := readData(d, start)
		r.Data = append(r.Data, data)
		return err
	}
	return nil
}

func readData(d *document, start *token) (Data, error) {
	data := Data{Type: attr(start, "type"), Size: -1, OpenSize: -1}
	var text struct{ sum, open, size, openSize, time string }
	into := map[string]*string{
		"checksum": &text.sum, "open-checksum": &text.open, "size": &text.size, "open-size": &text.openSize, "timestamp": &text.time,
	}
	err := d.each("data", func(path []string, t *token) error {
		if len(path) != 2 {
			return nil
		}
		switch t.kind {
		case startTag:
			switch path[1] {
			case "location":
				data.Location, data.BaseURL = attr(t, "href"), attr(t, "xml:base")
			case "checksum":
				data.Checksum.Type = attr(t, "type")
			case "open-checksum":
				data.OpenChecksum.Type = attr(t, "type")
			}
		case charData:
			if to := into[path[1]]; to != nil {
				*to += string(t.text)
			}
		}
		return nil
	})
	if err != nil {
		return data, err
	}
	if data.Type == "" || data.Location == "" {
		return data, fmt.Errorf("a file without type or location: %w", bundle.ErrMalformed)
	}
	if data.Checksum, err = checksum(data.Checksum.Type, text.sum); err != nil {
		return data, fmt.Errorf("%.60s: %w", data.Type, err)
	}
	if text.open != "" {
		if data.OpenChecksum, err = checksum(data.OpenChecksum.Type, text.open); err != nil {
			return data, fmt.Errorf("%.60s: %w", data.Type, err)
		}
	}
	// Some write fractions of a second.
	whole, _, _ := strings.Cut(text.time, ".")
	data.Size, data.OpenSize, data.Timestamp = told(text.size, -1), told(text.openSize, -1), told(whole, 0)
	return data, nil
}

// told reads a number that dnf does without: one that cannot be read is absent.
func told(text string, absent int64) int64 {
	n, err := size(text, absent)
	if err != nil {
		return absent
	}
	return n
}

// checksum checks one of upstream's.
func checksum(kind, text string) (Checksum, error) {
	text = strings.ToLower(strings.TrimSpace(text))
	if kind == "sha1" {
		kind = "sha"
	}
	digits, ok := map[string]int{"sha512": 128, "sha384": 96, "sha256": 64, "sha224": 56, "sha": 40, "md5": 32}[kind]
	if !ok || len(text) != digits || strings.Trim(text, "0123456789abcdef") != "" {
		return Checksum{}, fmt.Errorf("checksum %.20q %.130q: not readable: %w", kind, text, bundle.ErrMalformed)
	}
	return Checksum{Type: kind, Hex: text}, nil
}

// size reads a number of bytes or seconds; absent stands for none.
func size(text string, absent int64) (int64, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return absent, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("number %.30q: not readable: %w", text, bundle.ErrMalformed)
	}
	return n, nil
}

// Marshal writes a repomd.xml.
func (r *Repomd) Marshal() []byte {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	b.WriteString(`<repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm">` + "\n")
	fmt.Fprintf(&b, "  <revision>%s</revision>\n", escape(r.Revision))
	if len(r.Tags) > 0 {
		b.WriteString("  <tags>\n")
		for _, t := range r.Tags {
			kind := t.Kind
			if kind != "repo" && kind != "distro" {
				kind = "content"
			}
			b.WriteString("    <" + kind)
			if t.CPE != "" {
				fmt.Fprintf(&b, ` cpeid="%s"`, escape(t.CPE))
			}
			fmt.Fprintf(&b, ">%s</%s>\n", escape(t.Text), kind)
		}
		b.WriteString("  </tags>\n")
	}
	for _, d := range r.Data {
		fmt.Fprintf(&b, "  <data type=\"%s\">\n", escape(d.Type))
		fmt.Fprintf(&b, "    <checksum type=\"%s\">%s</checksum>\n", d.Checksum.Type, d.Checksum.Hex)
		if d.OpenChecksum.Hex != "" {
			fmt.Fprintf(&b, "    <open-checksum type=\"%s\">%s</open-checksum>\n", d.OpenChecksum.Type, d.OpenChecksum.Hex)
		}
		fmt.Fprintf(&b, "    <location href=\"%s\"/>\n    <timestamp>%d</timestamp>\n    <size>%d</size>\n", escape(d.Location), d.Timestamp, d.Size)
		if d.OpenSize >= 0 {
			fmt.Fprintf(&b, "    <open-size>%d</open-size>\n", d.OpenSize)
		}
		b.WriteString("  </data>\n")
	}
	b.WriteString("</repomd>\n")
	return b.Bytes()
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes everything
	return b.String()
}
