package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"math/big"
)

// COSE_Sign1 (RFC 9052) in direct form, and in batch form with its one receipt of inclusion (RFC 9942) in a tree of RFC 9162.

type sign1 struct {
	protected, payload, signature, kid []byte
	alg                                int64
	contentType                        string
	batch                              bool
	batchProtected                     []byte
	size, index                        int64
	path                               [][]byte
}

func sum(parts ...[]byte) []byte {
	hash := sha256.Sum256(bytes.Join(parts, nil))
	return hash[:]
}

// part is an item of this kind, anything else is refused.
func part[T any](item any) T {
	found, ok := item.(T)
	need(ok, "BAD_STATEMENT", fmt.Sprintf("%T where there should be %T", item, found))
	return found
}

func list(item any, length int) []any {
	found := part[[]any](item)
	need(len(found) == length, "BAD_STATEMENT", fmt.Sprintf("no array of %d", length))
	return found
}

// labels is a map with exactly these labels.
func labels(item any, wanted ...int64) map[any]any {
	found := part[map[any]any](item)
	for _, label := range wanted {
		_, ok := found[label]
		need(ok && len(found) == len(wanted), "BAD_STATEMENT", fmt.Sprintf("no map of exactly the labels %d", wanted))
	}
	return found
}

func inside(data any) any {
	return as("BAD_STATEMENT", func() any { return decode(part[[]byte](data)) })
}

func statement(item any) sign1 {
	parts := list(part[tagged](item).value, 4)
	s := sign1{protected: part[[]byte](parts[0]), payload: part[[]byte](parts[2]), signature: part[[]byte](parts[3])}
	need(len(s.protected) <= 256, "BAD_STATEMENT", "the protected header is too long")
	protected := labels(inside(s.protected), 1, 3, 4)
	s.alg, s.contentType, s.kid = part[int64](protected[int64(1)]), part[string](protected[int64(3)]), part[[]byte](protected[int64(4)])
	need((s.alg == -19 || s.alg == -9) && len(s.kid) == 16, "BAD_STATEMENT", "algorithm or key id")
	if unprotected := part[map[any]any](parts[1]); len(unprotected) > 0 {
		need(len(s.signature) == 0, "BAD_STATEMENT", "a batch form has no signature of its own")
		receipt(&s, inside(list(labels(unprotected, 394)[int64(394)], 1)[0]))
	}
	need(len(s.signature) == 64, "BAD_STATEMENT", "a signature has 64 bytes")
	return s
}

func receipt(s *sign1, item any) {
	parts := list(part[tagged](item).value, 4)
	s.batch, s.batchProtected, s.signature = true, part[[]byte](parts[0]), part[[]byte](parts[3])
	own := labels(inside(s.batchProtected), 1, 4, 395)
	need(own[int64(1)] == s.alg && bytes.Equal(part[[]byte](own[int64(4)]), s.kid) && own[int64(395)] == int64(1) && parts[2] == nil,
		"BAD_STATEMENT", "the receipt is of another key, algorithm or tree, or its root is not detached")
	proofs := labels(labels(parts[1], 396)[int64(396)], -1)[int64(-1)]
	proof := list(inside(list(proofs, 1)[0]), 3)
	s.size, s.index = part[int64](proof[0]), part[int64](proof[1])
	for _, each := range part[[]any](proof[2]) {
		s.path = append(s.path, part[[]byte](each))
		need(len(part[[]byte](each)) == 32, "BAD_STATEMENT", "a hash has 32 bytes")
	}
	need(s.size > 1 && s.size <= 65536 && s.index >= 0 && s.index < s.size && len(s.path) > 0 && len(s.path) <= 16,
		"BAD_STATEMENT", "no place in a tree of 2 to 65,536 leaves")
}

// root is where a path leads (RFC 9162 section 2.1.3.2), nil where it is too short or too long.
func root(leaf []byte, index, size int64, path [][]byte) []byte {
	if size == 1 || len(path) == 0 {
		if size == 1 && len(path) == 0 {
			return leaf
		}
		return nil
	}
	middle, rest, sibling := int64(1), path[:len(path)-1], path[len(path)-1]
	for 2*middle < size {
		middle *= 2
	}
	if index < middle {
		if below := root(leaf, index, middle, rest); below != nil {
			return sum([]byte{1}, below, sibling)
		}
	} else if below := root(leaf, index-middle, size-middle, rest); below != nil {
		return sum([]byte{1}, sibling, below)
	}
	return nil
}

func (x *exchange) signed(s sign1, environment string) []byte {
	return array("Signature1", s.protected, array("xb/1", x.ID, environment), s.payload)
}

func (x *exchange) leaf(s sign1) []byte { return sum([]byte{0}, x.signed(s, x.Environment)) }

// verifies tells whether this key signed the statement, alone or in a batch, for this exchange and environment.
func (x *exchange) verifies(s sign1, key any, environment string) bool {
	message := x.signed(s, environment)
	if s.batch {
		top := root(sum([]byte{0}, message), s.index, s.size, s.path)
		if top == nil {
			return false
		}
		message = array("Signature1", s.batchProtected, array("xb/1-batch", x.ID, environment, int(s.size)), top)
	}
	switch public := key.(type) {
	case ed25519.PublicKey:
		return s.alg == -19 && ed25519.Verify(public, message, s.signature)
	case *ecdsa.PublicKey:
		r, low := new(big.Int).SetBytes(s.signature[:32]), new(big.Int).SetBytes(s.signature[32:])
		half := new(big.Int).Rsh(public.Curve.Params().N, 1)
		return s.alg == -9 && low.Cmp(half) <= 0 && ecdsa.Verify(public, sum(message), r, low)
	}
	return false
}
