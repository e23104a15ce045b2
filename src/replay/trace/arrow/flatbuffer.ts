/** What is wrong with bytes that should be a FlatBuffer. */
export class FlatbufferError extends Error {}

/**
 * A table of a FlatBuffer, read with every offset checked: an Arrow stream's metadata may come from anyone, and the readers of the
 * flatbuffers package give rubbish, or loop for hours, where an offset or a count lies.
 *
 * Layout (flatbuffers.dev/internals): an i32 to the vtable, backwards; the vtable is u16 its size, u16 the table's, then a u16 a field,
 * where the field lies in the table, 0 if it has its default.
 */
export class Table {
  readonly #view: DataView;
  readonly #at: number;
  readonly #vtable: number;
  readonly #fields: number;

  constructor(view: DataView, at: number) {
    this.#view = view;
    this.#at = at;
    need(view, at, 4);
    this.#vtable = at - view.getInt32(at, true);
    need(view, this.#vtable, 4);
    const size = view.getUint16(this.#vtable, true);
    need(view, this.#vtable, size);
    this.#fields = (size - 4) >> 1;
  }

  /** The root table of `bytes`. @throws FlatbufferError */
  static root(bytes: Uint8Array): Table {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    need(view, 0, 4);
    return new Table(view, view.getUint32(0, true));
  }

  /** Where field `n` is, `bytes` of it; 0 if it has its default. */
  #field(n: number, bytes: number): number {
    if (n >= this.#fields) return 0;
    const offset = this.#view.getUint16(this.#vtable + 4 + 2 * n, true);
    if (offset === 0) return 0;
    need(this.#view, this.#at + offset, bytes);
    return this.#at + offset;
  }

  u8(n: number): number {
    const at = this.#field(n, 1);
    return at === 0 ? 0 : this.#view.getUint8(at);
  }

  i32(n: number): number {
    const at = this.#field(n, 4);
    return at === 0 ? 0 : this.#view.getInt32(at, true);
  }

  /** An i64 that must be a length or an offset. */
  size(n: number): number {
    const at = this.#field(n, 8);
    return at === 0 ? 0 : sizeAt(this.#view, at);
  }

  table(n: number): Table | null {
    const at = this.#field(n, 4);
    return at === 0 ? null : new Table(this.#view, at + this.#view.getUint32(at, true));
  }

  string(n: number): string {
    const { at, length } = this.#vector(n, 1);
    return Buffer.from(this.#view.buffer, this.#view.byteOffset + at, length).toString('utf8');
  }

  /** A vector of tables. */
  tables(n: number): Table[] {
    const { at, length } = this.#vector(n, 4);
    return Array.from({ length }, (_, i) => {
      const item = at + 4 * i;
      return new Table(this.#view, item + this.#view.getUint32(item, true));
    });
  }

  /** A vector of structs of two i64: {@link Table.size} of each. */
  pairs(n: number): [number, number][] {
    const { at, length } = this.#vector(n, 16);
    return Array.from({ length }, (_, i) => [sizeAt(this.#view, at + 16 * i), sizeAt(this.#view, at + 16 * i + 8)]);
  }

  #vector(n: number, itemBytes: number): { at: number; length: number } {
    const field = this.#field(n, 4);
    if (field === 0) return { at: 0, length: 0 };
    const at = field + this.#view.getUint32(field, true);
    need(this.#view, at, 4);
    const length = this.#view.getUint32(at, true);
    need(this.#view, at + 4, length * itemBytes);
    return { at: at + 4, length };
  }
}

function sizeAt(view: DataView, at: number): number {
  const value = view.getUint32(at, true) + view.getInt32(at + 4, true) * 2 ** 32;
  if (value < 0 || value > Number.MAX_SAFE_INTEGER) throw new FlatbufferError(`${value} is no length`);
  return value;
}

function need(view: DataView, at: number, bytes: number): void {
  if (at < 0 || at + bytes > view.byteLength) throw new FlatbufferError(`refers to byte ${at} of ${view.byteLength}`);
}
