package gittest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
)

// Objects is a server of Git LFS next to a Host's repositories: its batch
// answers name files of the upstream.
type Objects struct {
	host *Host

	mu     sync.Mutex
	sizes  map[string]int
	Header map[string]string // that a download has to have
	// Href makes the address of an object; nil: /lfs/<oid> of the upstream.
	Href func(oid string) string
}

// LFS adds Git LFS to a host.
func (h *Host) LFS() *Objects {
	o := &Objects{host: h, sizes: map[string]int{}}
	git := h.handler
	h.Server.Handle(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".git/info/lfs/objects/batch") {
			o.batch(w, r)
			return
		}
		git.ServeHTTP(w, r)
	}))
	return o
}

// Put stores an object and returns the text of its pointer, and where it is.
func (o *Objects) Put(content string) (pointer, path string) {
	sum := sha256.Sum256([]byte(content))
	oid := hex.EncodeToString(sum[:])
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sizes[oid] = len(content)
	o.host.Server.Put("/lfs/"+oid, []byte(content))
	return Pointer(oid, len(content)), "/lfs/" + oid
}

// Forget makes the server answer that it does not have an object.
func (o *Objects) Forget(path string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.sizes, strings.TrimPrefix(path, "/lfs/"))
}

func (o *Objects) batch(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Operation string `json:"operation"`
		Objects   []struct {
			OID  string `json:"oid"`
			Size int    `json:"size"`
		} `json:"objects"`
	}
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil || ask.Operation != "download" || r.Method != http.MethodPost {
		http.Error(w, "bad batch", http.StatusUnprocessableEntity)
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	objects := []any{}
	for _, a := range ask.Objects {
		object := map[string]any{"oid": a.OID, "size": a.Size}
		if _, ok := o.sizes[a.OID]; ok {
			href := o.host.Server.URL("/lfs/" + a.OID)
			if o.Href != nil {
				href = o.Href(a.OID)
			}
			object["actions"] = map[string]any{"download": map[string]any{"href": href, "header": o.Header, "expires_in": 600}}
		} else {
			object["error"] = map[string]any{"code": 404, "message": "Object does not exist"}
		}
		objects = append(objects, object)
	}
	w.Header().Set("Content-Type", "application/vnd.git-lfs+json")
	_ = json.NewEncoder(w).Encode(map[string]any{"transfer": "basic", "objects": objects})
}
