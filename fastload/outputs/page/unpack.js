// Opens what a page in one file holds packed (fastload/outputs/page/packed.py): the library, the scripts and the data.
//
// All of it is there when the page counts as loaded, so that a browser that prints without a window prints the charts.
// The browser's own decompression would be later than that, and older browsers have none.
(() => {
  "use strict";
  const again = "make it again from the saved runs, with fastload report or fastload compare and --html FILE.";

  // Eleven digits of base 94 are nine bytes: a number in three parts of 24 bits.
  function bytesOf(text) {
    const bytes = new Uint8Array((text.length / 11) * 9);
    let at = 0;
    for (let from = 0; from < text.length; from += 11) {
      let high = 0;
      let middle = 0;
      let low = 0;
      for (let place = from; place < from + 11; place += 1) {
        const code = text.charCodeAt(place);
        low = low * 94 + code - (code > 60 ? 33 : 32);
        middle = middle * 94 + (low >> 24);
        high = high * 94 + (middle >> 24);
        low &= 0xffffff;
        middle &= 0xffffff;
      }
      for (const part of [high, middle, low]) {
        bytes[at] = part >> 16;
        bytes[at + 1] = part >> 8;
        bytes[at + 2] = part;
        at += 3;
      }
    }
    return bytes;
  }

  // The bits of RFC 1951: those of a byte from the lowest one on.
  function bitsOf(bytes) {
    let [at, hold, count] = [0, 0, 0];
    function need(wanted) {
      while (count < wanted) {
        if (at > bytes.length + 8) throw new Error("it breaks off");
        hold |= bytes[at] << count;
        at += 1;
        count += 8;
      }
    }
    function take(wanted) {
      need(wanted);
      const value = hold & ((1 << wanted) - 1);
      hold >>>= wanted;
      count -= wanted;
      return value;
    }
    // The next symbol of a code: `table` has it at each number whose lowest bits are its code.
    function symbol(table) {
      need(15);
      const entry = table[hold & (table.length - 1)];
      const length = entry & 15;
      if (!length) throw new Error("it is damaged");
      hold >>>= length;
      count -= length;
      return entry >> 4;
    }
    return { take, symbol, skip: () => take(count & 7) };
  }

  function tableOf(lengths) {
    const width = Math.max(1, ...lengths);
    const table = new Uint16Array(1 << width);
    let code = 0;
    for (let length = 1; length <= width; length += 1) {
      lengths.forEach((wanted, value) => {
        if (wanted !== length) return;
        let first = 0;
        for (let bit = 0; bit < length; bit += 1) first |= ((code >> bit) & 1) << (length - 1 - bit);
        for (let place = first; place < table.length; place += 1 << length) table[place] = (value << 4) | length;
        code += 1;
      });
      code <<= 1;
    }
    return table;
  }

  // [the least value, how many bits are added] of each symbol of a length, and of a distance.
  function rangesOf(extras, least) {
    let next = least;
    return extras.map((extra) => {
      const range = [next, extra];
      next += 1 << extra;
      return range;
    });
  }
  const groups = (size, last) => Array.from({ length: last * size }, (_, index) => Math.max(0, Math.floor(index / size) - 1));
  const lengthRanges = [...rangesOf(groups(4, 7), 3), [258, 0]];
  const distanceRanges = rangesOf(groups(2, 15), 1);
  const filled = (...parts) => parts.flatMap(([count, value]) => new Array(count).fill(value));
  const fixed = [filled([144, 8], [112, 9], [24, 7], [8, 8]), filled([30, 5])].map(tableOf);
  const order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

  function dynamicTables(bits) {
    const [literals, distances, codes] = [bits.take(5) + 257, bits.take(5) + 1, bits.take(4) + 4];
    const first = new Array(19).fill(0);
    for (const place of order.slice(0, codes)) first[place] = bits.take(3);
    const table = tableOf(first);
    const lengths = [];
    while (lengths.length < literals + distances) {
      const value = bits.symbol(table);
      if (value < 16) lengths.push(value);
      else if (value === 16) lengths.push(...filled([bits.take(2) + 3, lengths.at(-1)]));
      else lengths.push(...filled([value === 17 ? bits.take(3) + 3 : bits.take(7) + 11, 0]));
    }
    return [lengths.slice(0, literals), lengths.slice(literals)].map(tableOf);
  }

  function inflate(bytes, size) {
    const bits = bitsOf(bytes);
    const found = new Uint8Array(size);
    let at = 0;
    let isLast = 0;
    while (!isLast) {
      isLast = bits.take(1);
      const kind = bits.take(2);
      if (kind === 0) {
        bits.skip();
        const length = bits.take(16);
        bits.take(16);
        for (const end = at + length; at < end; at += 1) found[at] = bits.take(8);
        continue;
      }
      const [literals, distances] = kind === 1 ? fixed : dynamicTables(bits);
      for (let value = bits.symbol(literals); value !== 256; value = bits.symbol(literals)) {
        if (value < 256) {
          found[at] = value;
          at += 1;
          continue;
        }
        const [least, extra] = lengthRanges[value - 257];
        const length = least + bits.take(extra);
        const [nearest, more] = distanceRanges[bits.symbol(distances)];
        const back = nearest + bits.take(more);
        for (const end = at + length; at < end; at += 1) found[at] = found[at - back];
      }
    }
    if (at !== size) throw new Error("it has another size");
    return found;
  }

  function unpacked(name) {
    const element = document.getElementById(`packed-${name}`);
    const text = element.textContent;
    element.remove();
    return new TextDecoder().decode(inflate(bytesOf(text), Number(element.dataset.size)));
  }

  // The page's policy knows the hash of each script: one that was changed does not run.
  function run(text) {
    const script = document.createElement("script");
    script.textContent = text;
    document.body.append(script);
    script.remove();
  }

  window.fastload = { again };
  try {
    run(unpacked("library"));
  } catch (error) {
    console.error(`The chart library in this page cannot be opened: ${error.message}`);
  }
  try {
    document.getElementById("data").textContent = unpacked("data");
    run(unpacked("scripts"));
  } catch (error) {
    console.error(error);
    document.getElementById("main").textContent = `This file is damaged, and nothing in it can be shown: ${again}`;
  }
})();
