/** A page of a list by its number, from 1 on, as dialects have it whose clients know no cursors. */
export interface NumberedPage {
  page: number
  limit: number
}

/**
 * How many entries of a list the last page by number ends with. A page is reached by reading the keys of those before it
 * in one Query of the index: about 150 bytes each, so 25 read units for the last one. Cursors lead further.
 */
export const NUMBERED_MOST = 1000

/** Whether a page is among those that have a number. */
export const hasNumber = ({ page, limit }: NumberedPage): boolean => page * limit <= NUMBERED_MOST

/** How many entries have to be read for a page: one more tells whether another page follows. */
export const entriesUpTo = ({ page, limit }: NumberedPage): number => page * limit + 1

/** The entries of a page among those that were read for it, and whether another page follows. */
export const pageOf = <T>(
  entries: readonly T[],
  { page, limit }: NumberedPage,
): { entries: T[]; hasNext: boolean } => ({
  entries: entries.slice((page - 1) * limit, page * limit),
  hasNext: entries.length > page * limit,
})
