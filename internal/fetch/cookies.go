package fetch

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// maxCookieFile bounds a file of cookies: a browser's has some hundred kilobytes.
	maxCookieFile = 4 << 20 // bytes
	// maxCookies bounds what one host is sent: servers refuse longer headers.
	maxCookies = 100
)

// httpOnly begins lines that are cookies all the same, as curl and browsers write them.
const httpOnly = "#HttpOnly_"

// cookie is a line of a file of cookies in Netscape's form, which curl, wget and the
// add-ons of browsers write: domain, whether names below it count, path, whether https
// alone, expiry in seconds since 1970 (0: with the session), name and value, by tabs.
type cookie struct {
	path    string
	secure  bool
	expires time.Time // zero: never
	text    string    // name=value
}

// readCookies reads the cookies of a host from a file.
func readCookies(file, host string, now time.Time) ([]cookie, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("cookies: %w: %w", err, ErrConfig)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxCookieFile+1))
	if err != nil {
		return nil, fmt.Errorf("cookies: %w", err)
	}
	what := "cookies " + filepath.Base(file)
	if len(text) > maxCookieFile {
		return nil, fmt.Errorf("%s: more than %d bytes: %w", what, maxCookieFile, ErrConfig)
	}
	all, err := parseCookies(string(text), host)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", what, err, ErrConfig)
	}
	fresh := slices.DeleteFunc(slices.Clone(all), func(c cookie) bool { return c.expired(now) })
	switch {
	case len(all) == 0:
		return nil, fmt.Errorf("%s: none of them is for %s: %w", what, host, ErrConfig)
	case len(fresh) == 0:
		return nil, fmt.Errorf("%s: all %d for %s have expired: sign in again and export them again: %w", what, len(all), host, ErrConfig)
	case len(fresh) > maxCookies:
		return nil, fmt.Errorf("%s: %d for %s, at most %d: %w", what, len(fresh), host, maxCookies, ErrConfig)
	}
	return fresh, nil
}

// parseCookies reads the lines for a host. An error names the line and never repeats it.
func parseCookies(text, host string) ([]cookie, error) {
	var all []cookie
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		number++
		line, _ = strings.CutPrefix(strings.TrimRight(line, "\r\n"), httpOnly)
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, "\t")
		if len(fields) == 6 { // curl leaves out an empty value
			fields = append(fields, "")
		}
		if len(fields) != 7 {
			return nil, fmt.Errorf("line %d: want 7 fields with a tab between, as curl and browsers write them", number)
		}
		seconds, err := strconv.ParseInt(strings.TrimSuffix(fields[4], ".0"), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("line %d: the expiry is no number", number)
		}
		c := cookie{path: fields[2], secure: strings.EqualFold(fields[3], "TRUE"), text: fields[5] + "=" + fields[6]}
		if seconds > 0 {
			c.expires = time.Unix(seconds, 0)
		}
		if fields[5] == "" || strings.ContainsAny(fields[5], "=; ") || strings.ContainsFunc(c.text, func(r rune) bool { return r < ' ' || r > '~' || r == ';' }) {
			return nil, fmt.Errorf("line %d: a cookie that no header can have", number)
		}
		domain := strings.ToLower(strings.TrimPrefix(fields[0], "."))
		below := strings.EqualFold(fields[1], "TRUE") && strings.HasSuffix(host, "."+domain)
		if domain == host || domain != "" && below {
			all = append(all, c)
		}
	}
	return all, nil
}

func (c cookie) expired(now time.Time) bool { return !c.expires.IsZero() && !now.Before(c.expires) }

// matches reports whether a path is the cookie's or below it (RFC 6265, section 5.1.4).
func (c cookie) matches(path string) bool {
	return path == c.path || strings.HasPrefix(path, strings.TrimSuffix(c.path, "/")+"/")
}

// addCookies adds those that the host's settings have for the request's URL. They go where
// its credential would go.
func (h *host) addCookies(req *http.Request) {
	to := originOf(req.URL)
	if len(h.cookies) == 0 || !h.mayKnow(to) || req.Header.Get("Cookie") != "" {
		return
	}
	var all []string
	for _, c := range h.cookies {
		if c.matches(req.URL.Path) && (!c.secure || to.scheme == "https") && !c.expired(time.Now()) {
			all = append(all, c.text)
		}
	}
	if len(all) > 0 {
		req.Header.Set("Cookie", strings.Join(all, "; "))
	}
}
