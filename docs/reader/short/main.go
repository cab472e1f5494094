// The short of it: does the agency named in a parcel's header vouch for what the parcel carries? Go's standard library alone. It prints
// header and sections. What it leaves to ../main.go: the relay's slip, strict encodings, and codes for what is refused.
//
//	go -C docs/reader run ./short directory.json ../../schemas FILE    (directory.json as in docs/auditor.md)
package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
)

type dict = map[string]any

func sum(parts ...[]byte) []byte { h := sha256.Sum256(bytes.Join(parts, nil)); return h[:] }

func load(path string) (found dict) {
	text, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(text, &found) != nil {
		panic("cannot read " + path)
	}
	return
}

// cbor reads one item (RFC 8949): integers as int, arrays as []any, maps with their keys as text, tags as what they hold.
func cbor(b *bytes.Reader) any {
	first, _ := b.ReadByte()
	n := uint64(first & 31)
	if n > 23 {
		size := make([]byte, 8)
		b.Read(size[8-1<<(n-24):])
		n = binary.BigEndian.Uint64(size)
	}
	switch first >> 5 {
	case 0:
		return int(n)
	case 1:
		return -1 - int(n)
	case 2, 3:
		data := make([]byte, min(n, uint64(b.Len())))
		b.Read(data)
		return data
	case 4:
		items := []any{}
		for ; n > 0 && b.Len() > 0; n-- {
			items = append(items, cbor(b))
		}
		return items
	case 5:
		items := dict{}
		for ; n > 0 && b.Len() > 0; n-- {
			key := cbor(b)
			if text, ok := key.([]byte); ok {
				key = string(text)
			}
			items[fmt.Sprint(key)] = cbor(b)
		}
		return items
	case 6:
		return cbor(b)
	}
	return nil
}

func inside(data any) any { return cbor(bytes.NewReader(data.([]byte))) }

// sigStructure is what is signed (RFC 9052 section 4.4): an array of the word, two byte strings around the exchange's context, and the payload.
func sigStructure(protected any, context, payload []byte) []byte {
	what := [][]byte{{0x84}, head(0x60, "Signature1"), head(0x40, string(protected.([]byte))), head(0x40, string(context)), head(0x40, string(payload))}
	return bytes.Join(what, nil)
}

// head writes the beginning of an item, and text or bytes after it.
func head(major byte, text string) []byte { return append(count(major, len(text)), text...) }

func count(major byte, n int) []byte {
	switch {
	case n < 24:
		return []byte{major | byte(n)}
	case n < 256:
		return []byte{major | 24, byte(n)}
	}
	return []byte{major | 25, byte(n >> 8), byte(n)}
}

// root climbs from a leaf to the root of its tree (RFC 9162 section 2.1.3.2).
func root(leaf []byte, index, last int, path []any) []byte {
	for _, sibling := range path {
		if index&1 == 1 || index == last {
			leaf = sum([]byte{1}, sibling.([]byte), leaf)
			for index&1 == 0 && index > 0 {
				index, last = index>>1, last>>1
			}
		} else {
			leaf = sum([]byte{1}, leaf, sibling.([]byte))
		}
		index, last = index>>1, last>>1
	}
	return leaf
}

// avro reads a value by its schema; named types are remembered as they come by.
func avro(schema any, b *bytes.Reader, named dict) any {
	long := func() int { n, _ := binary.ReadVarint(b); return int(n) }
	switch kind := schema.(type) {
	case []any:
		return avro(kind[long()], b, named)
	case string:
		switch kind {
		case "null":
			return nil
		case "boolean":
			one, _ := b.ReadByte()
			return one == 1
		case "int", "long":
			return long()
		case "bytes", "string":
			data := make([]byte, min(long(), b.Len()))
			b.Read(data)
			if kind == "bytes" {
				return hex.EncodeToString(data)
			}
			return string(data)
		}
		return avro(named[kind], b, named)
	}
	object := schema.(dict)
	switch object["type"] {
	case "record":
		found := dict{}
		for _, each := range object["fields"].([]any) {
			found[each.(dict)["name"].(string)] = avro(each.(dict)["type"], b, named)
		}
		return found
	case "enum":
		return object["symbols"].([]any)[long()]
	case "fixed":
		data := make([]byte, int(object["size"].(float64)))
		b.Read(data)
		return hex.EncodeToString(data)
	case "array":
		items := []any{}
		for n := long(); n != 0; n = long() {
			for ; n > 0; n-- {
				items = append(items, avro(object["items"], b, named))
			}
		}
		return items
	}
	return avro(object["type"], b, named)
}

// learn finds every named type of a schema: a later field may refer to one that an absent value defines.
func learn(schema any, named dict) dict {
	switch found := schema.(type) {
	case []any:
		for _, each := range found {
			learn(each, named)
		}
	case dict:
		if kind := found["type"]; kind == "record" || kind == "enum" || kind == "fixed" {
			named[found["name"].(string)] = found
		}
		for _, each := range found {
			learn(each, named)
		}
	}
	return named
}

func decode(path string, data []byte) dict {
	schema := load(path)
	return avro(schema, bytes.NewReader(data), learn(schema, dict{})).(dict)
}

func main() {
	directory, schemas := load(os.Args[1]), os.Args[2]
	value, _ := os.ReadFile(os.Args[3])
	parts := cbor(bytes.NewReader(value[3:])).([]any) // after the bytes 58 42 01
	statement, sections := parts[0].([]any), parts[1].(dict)
	protected, payload, signature := statement[0], statement[2].([]byte), statement[3].([]byte)
	header := decode(schemas+"/header/v1/header.avsc", payload)
	exchange, environment := directory["exchange_id"].(string), directory["environment"].(string)
	place := append(head(0x60, exchange), head(0x60, environment)...)
	message := sigStructure(protected, append(append([]byte{0x83}, head(0x60, "xb/1")...), place...), payload)
	if receipts, ok := statement[1].(dict)["394"].([]any); ok { // signed with others in a batch (RFC 9942): what is signed is the root
		receipt := inside(receipts[0]).([]any)
		proof := inside(receipt[1].(dict)["396"].(dict)["-1"].([]any)[0]).([]any)
		size, index := proof[0].(int), proof[1].(int)
		context := append(append([]byte{0x84}, head(0x60, "xb/1-batch")...), place...)
		protected, signature = receipt[0], receipt[3].([]byte)
		message = sigStructure(protected, append(context, count(0, size)...), root(sum([]byte{0}, message), index, size-1, proof[2].([]any)))
	}
	told := dict{"header": header, "verified": false, "sections": dict{}, "withheld": []string{}}
	for _, text := range directory["keys"].(dict)[header["originator"].(string)].([]any) {
		spki, _ := hex.DecodeString(text.(string))
		key, _ := x509.ParsePKIXPublicKey(spki)
		switch public := key.(type) {
		case ed25519.PublicKey:
			told["verified"] = told["verified"].(bool) || ed25519.Verify(public, message, signature)
		case *ecdsa.PublicKey:
			r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
			told["verified"] = told["verified"].(bool) || ecdsa.Verify(public, sum(message), r, s)
		}
	}
	released := load(schemas + "/released.json")
	for _, each := range header["commitments"].([]any) {
		commitment := each.(dict)
		name := commitment["section"].(string)
		carried, ok := sections[name].([]byte)
		if !ok {
			told["withheld"] = append(told["withheld"].([]string), name)
			continue
		}
		if hex.EncodeToString(sum(carried)) != commitment["digest"] {
			told["verified"] = false // not the section that was signed
		}
		for file, entry := range released {
			if entry.(dict)["schema_id"] == commitment["schema_id"] {
				told["sections"].(dict)[name] = decode(schemas+"/"+file+".avsc", carried[16:]) // after the salt
			}
		}
		delete(sections, name)
	}
	told["verified"] = told["verified"].(bool) && len(sections) == 0 // nothing that the header does not commit to
	line, _ := json.Marshal(told)
	fmt.Println(string(line))
	if told["verified"] == false {
		os.Exit(1)
	}
}
