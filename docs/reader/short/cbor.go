package main

import (
	"bytes"
	"math/big"
)

// CBOR (RFC 8949), as much as parcels are made of: read head by head, since what comes where is known.

// The kinds of items (section 3.1).
const number, negative, octets, text, list, pairs, tag, simple = 0, 1, 2, 3, 4, 5, 6, 7

// head reads the heads of items of these kinds, one after the other: the number, length or count in the last of them.
func head(b *bytes.Buffer, kinds ...byte) (n int) {
	for _, kind := range kinds {
		first, err := b.ReadByte()
		need(err == nil && first>>5 == kind, "not the CBOR of a parcel")
		if n = int(first & 31); n > 23 { // it is in the 1, 2, 4 or 8 bytes that follow
			n = int(new(big.Int).SetBytes(b.Next(1 << (n - 24))).Int64())
		}
	}
	return n
}

// data reads a byte string.
func data(b *bytes.Buffer) []byte { return b.Next(head(b, octets)) }

// item writes a head, and the content of a text or byte string after it.
func item(kind byte, n int, content []byte) []byte {
	first := []byte{kind<<5 | byte(n)}
	if n > 255 {
		first = []byte{kind<<5 | 25, byte(n >> 8), byte(n)}
	} else if n > 23 {
		first = []byte{kind<<5 | 24, byte(n)}
	}
	return append(first, content...)
}

// array writes texts, byte strings and numbers: what is signed is made of these.
func array(parts ...any) []byte {
	out := item(list, len(parts), nil)
	for _, part := range parts {
		switch value := part.(type) {
		case int:
			out = append(out, item(number, value, nil)...)
		case string:
			out = append(out, item(text, len(value), []byte(value))...)
		case []byte:
			out = append(out, item(octets, len(value), value)...)
		}
	}
	return out
}
