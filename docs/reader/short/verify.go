// The short of it: does the agency named in a parcel's header vouch for all that the parcel carries, and the relay for its delivery?
// This file is all that verifies, with Go's standard library alone; cbor.go and avro.go read the two encodings that the library lacks.
//
//	go -C docs/reader run ./short directory.json ../../schemas FILE [RECIPIENT]    (directory.json as in docs/auditor.md)
package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"math/bits"
	"os"
)

func sum(parts ...[]byte) []byte { h := sha256.Sum256(bytes.Join(parts, nil)); return h[:] }

// root is where a path leads from a leaf (RFC 9162 section 2.1.3.2): its last hash is the sibling at the top.
func root(leaf []byte, index, size int, path [][]byte) []byte {
	if size == 1 {
		need(len(path) == 0 && index == 0, "no place in this tree")
		return leaf
	}
	left, last := 1<<(bits.Len(uint(size-1))-1), len(path)-1 // the left subtree has the largest power of two below the size
	if index < left {
		return sum([]byte{1}, root(leaf, index, left, path[:last]), path[last])
	}
	return sum([]byte{1}, path[last], root(leaf, index-left, size-left, path[:last]))
}

func signs(spki, message, signature []byte) bool {
	key, _ := x509.ParsePKIXPublicKey(spki)
	switch public := key.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(public, message, signature)
	case *ecdsa.PublicKey:
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		half := new(big.Int).Rsh(public.Params().N, 1) // of the two s that fit, only the lower one is taken
		return s.Cmp(half) <= 0 && ecdsa.Verify(public, sum(message), r, s)
	}
	return false
}

// statement reads a COSE_Sign1 (RFC 9052) that a known key signed for this exchange: whose key, its payload decoded, and its leaf.
func statement(b *bytes.Buffer, known dict, kind string, keys dict) (string, dict, string) {
	exchange, environment := known["exchange_id"], known["environment"]
	need(head(b, tag) == 18 && head(b, list) == 4, "it is no COSE_Sign1")
	protected := data(b)
	var receipt *bytes.Buffer
	if head(b, pairs) == 1 { // {394: [receipt]}: signed with others, under the root of a tree (RFC 9942)
		head(b, number, list)
		receipt = bytes.NewBuffer(data(b))
	}
	payload, signature := data(b), data(b)
	message := array("Signature1", protected, array("xb/1", exchange, environment), payload)
	leaf := sum([]byte{0}, message)
	if receipt != nil { // 18([protected, {396: {-1: [[size, index, path]]}}, nil, signature])
		head(receipt, tag, list)
		above := data(receipt)
		head(receipt, pairs, number, pairs, negative, list)
		proof := bytes.NewBuffer(data(receipt))
		head(receipt, simple)
		signature = data(receipt)
		head(proof, list)
		size, index := head(proof, number), head(proof, number)
		path := [][]byte{}
		for n := head(proof, list); n > 0; n-- {
			path = append(path, data(proof))
		}
		message = array("Signature1", above, array("xb/1-batch", exchange, environment, size), root(leaf, index, size, path))
	}
	for owner, spkis := range keys {
		for _, each := range spkis.([]any) {
			spki, _ := hex.DecodeString(each.(string)) // a key's name, the last thing in the protected header, is a hash of the key
			if bytes.HasSuffix(protected, sum(spki)[:16]) && signs(spki, message, signature) {
				return owner, record(kind, protected, payload), hex.EncodeToString(leaf)
			}
		}
	}
	panic("nobody who is known signed this " + kind)
}

func main() {
	defer refused()
	known, value := load(os.Args[1]), read(os.Args[3])
	need(bytes.HasPrefix(value, []byte("XB\x01")), "it is no parcel")
	b := bytes.NewBuffer(value[3:])
	head(b, list)
	owner, header, leaf := statement(b, known, "header", known["keys"].(dict))
	need(header["originator"] == owner, "the header names another agency than the key's")
	carried, sections, given, withheld := map[string][]byte{}, dict{}, []string{}, []string{}
	for n := head(b, pairs); n > 0; n-- {
		name := string(b.Next(head(b, text)))
		carried[name] = data(b)
	}
	for _, each := range header["commitments"].([]any) {
		signed := each.(dict)
		name := signed["section"].(string)
		if content, ok := carried[name]; ok {
			need(hex.EncodeToString(sum(content)) == signed["digest"], name+" is not the section that was signed")
			given = append(given, name)
			sections[name] = section(signed["schema_id"], content[16:]) // after the salt
		} else if name != "audience" { // which never leaves the exchange
			withheld = append(withheld, name)
		}
	}
	need(len(given) == len(carried), "a section is carried that nobody signed")
	if head(b, pairs) == 0 {
		need(len(os.Args) == 4 && len(withheld) == 0, "an outbox has all sections, and an inbox the relay's slip")
	} else { // the relay's slip: for this recipient, of this parcel, with a full account of its sections
		head(b, number)
		_, slip, _ := statement(bytes.NewBuffer(data(b)), known, "slip", dict{"the relay": known["relay"]})
		need(len(os.Args) == 5 && slip["recipient"] == os.Args[4] && slip["leaf"] == leaf, "it is the slip of another delivery")
		need(names(slip["given"])+names(slip["withheld"]) == fmt.Sprint(given)+fmt.Sprint(withheld), "a section was taken out, or put in")
	}
	need(b.Len() == 0, "bytes follow the end of the parcel")
	json.NewEncoder(os.Stdout).Encode(dict{"verified": true, "header": header, "sections": sections, "withheld": withheld})
}
