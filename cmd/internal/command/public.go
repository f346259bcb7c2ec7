package command

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/site"
)

// maxStatusNames bounds the lines about public names; hosts.json has all.
const maxStatusNames = 200

// writePublic lists the public names that a mirror can answer for, and those that it does not.
func writePublic(w io.Writer, names *site.PublicNames) {
	if names == nil || len(names.Names)+len(names.Unanswered) == 0 {
		return
	}
	hosts := names.Hosts()
	if len(hosts) > 0 {
		fmt.Fprintf(w, "\npublic names that the mirror can answer for, if a web server and a name server are set up for it (clients MIRROR --for hosts):\n")
	}
	var rows [][]string
	for _, host := range hosts[:min(len(hosts), maxStatusNames)] {
		rows = append(rows, []string{"  " + host, hostPrefixes(names, host)})
	}
	WriteTable(w, rows)
	if more := len(hosts) - len(rows); more > 0 {
		fmt.Fprintf(w, "  and %d more, in /%s\n", more, site.HostsPath)
	}
	for i := range names.Unanswered[:min(len(names.Unanswered), maxStatusNames)] {
		fmt.Fprintf(w, "public name %s\n", names.Unanswered[i].String())
	}
	if more := len(names.Unanswered) - maxStatusNames; more > 0 {
		fmt.Fprintf(w, "and %d more, in /%s\n", more, site.HostsPath)
	}
	if names.LeftOut > 0 {
		fmt.Fprintf(w, "the mirror does not answer for %s beyond what one set may have\n", bundle.Count(names.LeftOut, "public address"))
	}
}

// hostPrefixes reports of which sources a host's prefixes are.
func hostPrefixes(names *site.PublicNames, host string) string {
	var sources []string
	n, last := 0, ""
	for _, line := range names.Names {
		if line.Host != host {
			continue
		}
		if n == 0 || line.Path != last {
			n, last = n+1, line.Path
		}
		if of := line.Source + " of " + line.Set; !slices.Contains(sources, of) {
			sources = append(sources, of)
		}
	}
	what := "1 prefix"
	if n > 1 {
		what = bundle.Count(n, "prefix")
	}
	return what + ": " + strings.Join(sources, ", ")
}
