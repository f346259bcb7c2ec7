//go:build clients

package webtest

import "testing"

func TestRealServers(t *testing.T) { testServers(t, Nginx, Apache, Caddy) }
