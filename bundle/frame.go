package bundle

type Decoder struct{}

func NewDecoder() *Decoder { panic("not yet") }

// Close releases the decoder's memory.
func (d *Decoder) Close() { panic("not yet") }
func (d *Decoder) Decode(dst []byte, f Frame, compressed []byte) ([]byte, error) {
	panic("not yet")
}
