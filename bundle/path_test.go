package bundle

import (
	"errors"
	"strings"
	"testing"
)

// TestCheckReserved: names that a web server reads as its own are refused in any case,
// wherever they are in a path; other names that begin with a dot are not.
func TestCheckReserved(t *testing.T) {
	for path, ok := range map[string]bool{
		"a/b": true, ".treeinfo": true, ".well-known/x": true, "h/.hidden": true, "a/web.config.txt": true, "x.htaccess": true, "www/a": true, "": true,
		".htaccess": false, "a/.htpasswd": false, ".HTaccess": false, "a/.htdigest/b": false, "a/.user.ini": false, "a/Web.Config": false, "web.config/x": false,
	} {
		if err := CheckReserved(path); (err == nil) != ok || err != nil && (!errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), path)) {
			t.Errorf("%q: %v", path, err)
		}
	}
}
