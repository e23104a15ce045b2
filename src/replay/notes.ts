/** Something a reader of a result must know, about some images or with a count. */
export interface Note {
  text: string;
  /** names of images it is about */
  images?: readonly string[];
  /** how many files, pages or rows it is about */
  count?: number;
  /** the workload the count belongs to; filled in by the replay */
  workload?: string;
}

/** Says each thing once: notes of equal text become one sentence that lists all their images, or their counts by workload. */
export function noteSentences(notes: readonly Note[]): string[] {
  const about = new Map<string, Set<string>>();
  for (const { text, images, count, workload } of notes) {
    let list = about.get(text);
    if (!list) {
      list = new Set();
      about.set(text, list);
    }
    for (const image of images ?? []) list.add(image);
    if (count !== undefined) list.add(workload === undefined ? String(count) : `${workload} ${count}`);
  }
  return [...about].map(([text, list]) => (list.size > 0 ? `${text}: ${[...list].join(', ')}` : text));
}
