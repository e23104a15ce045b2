import type { Segment } from '../elf.ts';

/** What an entry of a layer is, once its content has been digested. */
export interface LayerInode {
  type: 'file' | 'directory' | 'symlink' | 'other';
  /** permissions, with S_IFMT */
  mode: number;
  uid: number;
  gid: number;
  /** of a symlink the length of its target, of a directory 0 */
  sizeBytes: number;
  mtimeSec: number;
  mtimeNsec: number;
  xattrsSha256: Uint8Array | null;
  contentSha256: Uint8Array | null;
  pageDigests: Uint8Array;
  segments: readonly Segment[];
}

/** A change that a layer makes, path by path as in its archive; names in latin1, so that they are bytes. */
export type Change =
  | { kind: 'set'; path: readonly string[]; inode: LayerInode }
  | { kind: 'link'; path: readonly string[]; target: readonly string[] }
  /** `.wh.NAME`: hides what lower layers have at path */
  | { kind: 'whiteout'; path: readonly string[] }
  /** `.wh..wh..opq`: hides what lower layers have in the directory */
  | { kind: 'opaque'; path: readonly string[] };

interface Node {
  inode: LayerInode;
  /** of a directory, by name */
  children: Map<string, Node> | null;
  /** the layer that put it here or in its way; 0 is the lowest */
  layer: number;
}

const S_IFDIR = 0o040000;

/** A directory that no layer describes. containerd makes it with these, and with the time of unpacking. */
const IMPLIED: LayerInode = {
  type: 'directory',
  mode: S_IFDIR | 0o755,
  uid: 0,
  gid: 0,
  sizeBytes: 0,
  mtimeSec: 0,
  mtimeNsec: 0,
  xattrsSha256: null,
  contentSha256: null,
  pageDigests: new Uint8Array(0),
  segments: [],
};

/**
 * The file tree of an image, from its layers (OCI image specification, "Image Layer Filesystem Changeset").
 *
 * A layer's whiteouts hide what lower layers have, wherever in its archive they stand; its own entries follow one another, the last one of a
 * name stays. A directory over a directory keeps the children and takes the new metadata; anything else replaces what was there. As
 * overlayfs shows it, a directory of a layer that only its entries imply replaces a lower symlink or file; through a symlink of the layer
 * itself no entry is taken, for tools differ in where it would go. A hard link is to the inode that its target then names, of
 * whatever layer; a later change of one name leaves the other as it was.
 */
export class LayeredTree {
  readonly #root: Node = { inode: IMPLIED, children: new Map(), layer: 0 };
  readonly #maxNodes: number;
  #nodes = 1;
  #layer = -1;

  /** @param maxNodes more names than this, those that were replaced included, are refused */
  constructor(maxNodes: number) {
    this.#maxNodes = maxNodes;
  }

  /**
   * Applies the next layer.
   * @throws what `fault` makes of a change that can't be made
   */
  apply(changes: readonly Change[], fault: (path: readonly string[], what: string) => Error): void {
    this.#layer++;
    for (const change of changes) if (change.kind === 'whiteout' || change.kind === 'opaque') this.#hide(change);
    for (const change of changes) {
      const at = (what: string): Error => fault(change.path, what);
      if (change.kind === 'set') this.#set(change.path, change.inode, at);
      else if (change.kind === 'link') this.#link(change.path, change.target, at);
    }
  }

  /** Every path, without the leading slash, in bytewise order of the names of each directory; the root is the empty path. */
  *walk(): Generator<{ path: string; inode: LayerInode; subdirectories: number }> {
    const stack: { path: string; node: Node }[] = [{ path: '', node: this.#root }];
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      const { path, node } = next;
      const names = node.children === null ? [] : [...node.children.keys()].sort().reverse();
      let subdirectories = 0;
      for (const name of names) {
        const child = node.children!.get(name)!;
        if (child.children !== null) subdirectories++;
        stack.push({ path: `${path}/${name}`, node: child });
      }
      yield { path, inode: node.inode, subdirectories };
    }
  }

  #hide({ kind, path }: Change): void {
    const directory = this.#lookUp(kind === 'opaque' ? path : path.slice(0, -1));
    if (kind === 'opaque') directory?.children?.clear();
    else directory?.children?.delete(path.at(-1)!);
  }

  #set(path: readonly string[], inode: LayerInode, fault: (what: string) => Error): void {
    if (path.length === 0) {
      if (inode.type !== 'directory') throw fault('the root is no directory');
      this.#root.inode = inode;
      return;
    }
    const parent = this.#parent(path, fault);
    const name = path.at(-1)!;
    const there = parent.get(name);
    if (there !== undefined && there.children !== null && inode.type === 'directory') {
      there.inode = inode;
      there.layer = this.#layer;
    } else this.#add(parent, name, inode, fault);
  }

  #link(path: readonly string[], target: readonly string[], fault: (what: string) => Error): void {
    const { inode } = this.#lookUp(target) ?? {};
    if (inode === undefined) throw fault('its target is not there');
    if (inode.type === 'directory') throw fault('its target is a directory');
    if (path.join('/') === target.join('/')) throw fault('it is its own target');
    this.#add(this.#parent(path, fault), path.at(-1)!, inode, fault);
  }

  /** The directory that a path's last name is in, made where nothing or something lower is in the way. */
  #parent(path: readonly string[], fault: (what: string) => Error): Map<string, Node> {
    let children = this.#root.children!;
    for (const name of path.slice(0, -1)) {
      let node = children.get(name);
      if (node === undefined || (node.children === null && node.layer < this.#layer))
        node = this.#add(children, name, IMPLIED, fault);
      if (node.children === null) throw fault(`it lies in a ${node.inode.type} of the same layer`);
      children = node.children;
    }
    return children;
  }

  #add(directory: Map<string, Node>, name: string, inode: LayerInode, fault: (what: string) => Error): Node {
    if (++this.#nodes > this.#maxNodes) throw fault(`with it the image has more than ${this.#maxNodes} names`);
    const children = inode.type === 'directory' ? new Map<string, Node>() : null;
    const node = { inode, children, layer: this.#layer };
    directory.set(name, node);
    return node;
  }

  #lookUp(path: readonly string[]): Node | undefined {
    let node: Node | undefined = this.#root;
    for (const name of path) node = node?.children?.get(name);
    return node;
  }
}
