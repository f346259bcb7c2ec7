package bundle

// DigestSet holds digests and sizes of blobs at about 50 bytes each; see NewDigestSet.
type DigestSet struct{ m map[Digest]int64 }

func NewDigestSet(hint int64) *DigestSet { return &DigestSet{m: map[Digest]int64{}} }
func (s *DigestSet) Add(d Digest, size int64) (added bool) {
	if _, ok := s.m[d]; ok {
		return false
	}
	s.m[d] = size
	return true
}
func (s *DigestSet) Size(d Digest) (size int64, ok bool) { size, ok = s.m[d]; return }
func (s *DigestSet) Len() int64                          { return int64(len(s.m)) }
