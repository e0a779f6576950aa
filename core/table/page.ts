import type { Deps } from '../ports.ts'
import type { Key } from './keys.ts'
import type { Item } from './table.ts'

/**
 * One page of a partition's items, in one read. One item more than the page holds tells whether it is the last.
 * @param page.after the key of the previous page's last item; undefined for the first page.
 * @returns the parsed items, and in `last` the page's last one if another page follows.
 */
export async function readPage<T>(
  { table }: Deps<'table'>,
  pk: string,
  prefix: string,
  { limit, after, newestFirst }: { limit: number; after: Key | undefined; newestFirst?: boolean },
  parse: (item: Item) => T,
): Promise<{ items: T[]; last: T | undefined }> {
  const found = await table.list(pk, prefix, {
    limit: limit + 1,
    ...(newestFirst && { newestFirst }),
    ...(after && { after }),
  })
  const items = found.slice(0, limit).map(parse)
  return { items, last: found.length > limit ? items.at(-1) : undefined }
}
