import * as z from 'zod/mini'
import { hasNumber, NUMBERED_MOST, type NumberedPage } from '../../core/reports/page-number.ts'
import { optionalField } from './optional-field.ts'

/** The most entries of a page. */
const LIMIT_MOST = 25

/** How many entries a page has, up to 100. */
export const pageLimit = optionalField(z.string().check(z.regex(/^([1-9]\d?|100)$/, 'must be 1 to 100')))

interface SentPage {
  page?: string | undefined
  limit?: string | undefined
}

/** The page that a query names. */
export const numberedPage = ({ page = '1', limit = String(LIMIT_MOST) }: SentPage): NumberedPage => ({
  page: Number(page),
  limit: Number(limit),
})

/** The query of a list whose pages have numbers. */
export const pageQuery = z
  .strictObject({
    page: optionalField(z.string().check(z.regex(/^[1-9]\d{0,3}$/, `must be 1 to ${NUMBERED_MOST}`))),
    limit: optionalField(z.string().check(z.regex(/^([1-9]|1\d|2[0-5])$/, `must be 1 to ${LIMIT_MOST}`))),
  })
  .check(
    z.refine((sent) => hasNumber(numberedPage(sent)), {
      path: ['page'],
      error: `times the limit must be at most ${NUMBERED_MOST}`,
    }),
  )

/** The header that leads to the next page, if there is one. */
export const nextPage = (path: string, { page, limit }: NumberedPage, hasNext: boolean) =>
  hasNext ? { link: `<${path}?page=${page + 1}&limit=${limit}>; rel="next"` } : {}
