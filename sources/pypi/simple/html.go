package simple

import (
	"bytes"
	"errors"
	"io"
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

// maxToken bounds one tag of a page, in bytes.
const maxToken = 1 << 20

// parseHTML reads links and the few meta tags that count. Text is ignored: a
// file's name is the end of its link, as for pip.
func parseHTML(base *url.URL, content []byte) (*Page, error) {
	p := &Page{}
	z := html.NewTokenizer(bytes.NewReader(content))
	z.SetMaxBuf(maxToken)
	based := false
	for {
		switch z.Next() {
		case html.ErrorToken:
			if err := z.Err(); !errors.Is(err, io.EOF) {
				return nil, err
			}
			return p, nil
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			tag := string(name)
			if tag != "a" && tag != "meta" && tag != "base" {
				continue
			}
			attributes := map[string]string{}
			for more {
				var key, value []byte
				key, value, more = z.TagAttr()
				if _, ok := attributes[string(key)]; !ok {
					attributes[string(key)] = string(value)
				}
			}
			href, hasLink := attributes["href"]
			switch {
			case tag == "base" && hasLink && !based:
				based = true
				if u, err := base.Parse(href); err == nil {
					base = u
				}
			case tag == "meta":
				if err := p.meta(attributes["name"], attributes["content"]); err != nil {
					return nil, err
				}
			case tag == "a" && hasLink:
				if err := p.link(base, href, attributes); err != nil {
					return nil, err
				}
			}
		}
	}
}

func (p *Page) meta(name, content string) error {
	switch name {
	case "pypi:repository-version":
		return checkVersion(content)
	case "pypi:project-status":
		p.Status = content
	case "pypi:project-status-reason":
		p.Reason = content
	case "pypi:tracks":
		p.Tracks = append(p.Tracks, content)
	case "pypi:alternate-locations":
		p.Alternates = append(p.Alternates, content)
	}
	return nil
}

func (p *Page) link(base *url.URL, href string, attributes map[string]string) error {
	f := File{Size: -1, RequiresPython: attributes["data-requires-python"]}
	f.YankedReason, f.Yanked = attributes["data-yanked"]
	metadata, ok := attributes["data-core-metadata"]
	if !ok {
		metadata, ok = attributes["data-dist-info-metadata"]
	}
	if ok && metadata != "false" {
		f.HasMetadata = true
		f.MetadataSHA256, ok = strings.CutPrefix(metadata, "sha256=")
		if !ok {
			f.MetadataSHA256 = ""
		}
	}
	return p.add(base, href, f)
}
