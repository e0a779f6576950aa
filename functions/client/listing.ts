import { BursarError } from './errors.ts'

/** A part of a list. With `cursor` the next call goes on; it is undefined on the last page. */
export interface Page<Item> {
  items: Item[]
  cursor: string | undefined
}

/** A list that is read page by page: `for await (const item of listing)` reads all, and `page()` one page. */
export interface Listing<Item> extends AsyncIterable<Item> {
  /** Reads the page at the cursor of the query, or the first one. */
  page(): Promise<Page<Item>>
}

const endlessList = () =>
  new BursarError('unexpected_answer', {
    status: 200,
    message: 'The list leads from a page to the same page.',
  })

/** @param read reads the page at a cursor; undefined means the one of the query */
export function listing<Item>(read: (cursor?: string) => Promise<Page<Item>>): Listing<Item> {
  return {
    page: () => read(),
    async *[Symbol.asyncIterator]() {
      let page = await read()
      yield* page.items
      while (page.cursor !== undefined) {
        const { cursor } = page
        page = await read(cursor)
        if (page.cursor === cursor) throw endlessList()
        yield* page.items
      }
    },
  }
}

/**
 * The cursor in the `rel="next"` of a Link header. Only the cursor is taken, so that no header can lead the caller's
 * token to another server.
 */
export function cursorOf(link: string | null): string | undefined {
  const [, target = ''] = /<([^>]*)>\s*;[^,]*\brel="?next"?/i.exec(link ?? '') ?? []
  const [, query = ''] = target.split('?')
  return new URLSearchParams(query).get('cursor') ?? undefined
}
