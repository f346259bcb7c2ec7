// Package serve is a web server for a mirror: static files by GET and HEAD,
// as docs/serving.md describes them for nginx, Apache and Caddy, in one
// program. It reads a mirror and writes nothing; it knows no kinds.
package serve
