package site

import (
	"embed"
	"net/netip"
	"net/url"
	"strings"
	"text/template"
)

// HostClientsDir holds what leads clients to the mirror by public names: for name servers, and
// for the certificate of a site's own CA.
const HostClientsDir = ClientsDir + "/hosts"

// addressWord stands for the IP address at which clients reach the mirror, where its base URL
// does not have it.
const addressWord = "@ADDRESS@"

// AddressWord returns the word that is replaced by "gapbundle clients --address".
func AddressWord() string { return addressWord }

//go:embed hosts/*.tmpl
var hostFiles embed.FS

// hostFileNames are what is written into HostClientsDir.
var hostFileNames = []string{"Corefile", "certificate.txt", "dnsmasq.conf", "hosts", "names.cnf", "unbound.conf"}

// hostClientData is what the templates are filled with. All names are of servableHost.
type hostClientData struct {
	Address string
	// Names are for name servers; DNS and IPs are what a certificate has.
	Names, DNS, IPs []string
}

// hostClients writes the files for public names, if there are any.
func (w *writer) hostClients() error {
	data := hostClientData{Address: addressWord}
	u, err := url.Parse(w.in.Base)
	if err != nil {
		return err
	}
	address, known := netip.ParseAddr(u.Hostname())
	for _, host := range w.public.Hosts() {
		name := hostOnly(host)
		switch {
		case isAddress(name):
			data.IPs = appendNew(data.IPs, name)
		default:
			data.Names, data.DNS = appendNew(data.Names, name), appendNew(data.DNS, name)
		}
	}
	if len(data.Names) == 0 {
		return nil
	}
	t, err := template.New("").ParseFS(hostFiles, "hosts/*.tmpl")
	if err != nil {
		return err
	}
	for _, name := range hostFileNames {
		p := HostClientsDir + "/" + name
		var text strings.Builder
		if err := t.ExecuteTemplate(&text, name+".tmpl", data); err != nil {
			return err
		}
		filled := text.String()
		if known == nil {
			filled = FillAddress(filled, address)
		}
		if err := w.bytes(p, []byte(filled)); err != nil {
			return err
		}
		w.clients = append(w.clients, p)
	}
	return nil
}

// appendNew appends a text to a sorted list that does not end with it.
func appendNew(to []string, text string) []string {
	if len(to) > 0 && to[len(to)-1] == text {
		return to
	}
	return append(to, text)
}

// FillAddress puts an address in the place of AddressWord.
func FillAddress(text string, address netip.Addr) string {
	if address.Is6() {
		text = strings.ReplaceAll(text, " A "+addressWord, " AAAA "+addressWord)
	}
	return strings.ReplaceAll(text, addressWord, address.String())
}
