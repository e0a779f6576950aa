/**
 * Every page of the console by name. What is deeper than one segment, `/console/<role>/…`, is the API's, so a page takes
 * what it is about from the query.
 */
export const paths = {
  home: '/console',
  account: '/console/account',
  accounts: '/console/accounts',
  totals: '/console/totals',
  plans: '/console/plans',
  coupons: '/console/coupons',
  blocks: '/console/blocks',
  events: '/console/events',
  deliveries: '/console/deliveries',
  audit: '/console/audit',
  operators: '/console/operators',
  health: '/console/health',
} as const

export type PageName = keyof typeof paths

/** What the pages take from the query; those that are not here take nothing. */
interface Queries {
  account: { id: string }
  accounts: { list?: string | undefined; [filter: string]: string | undefined }
  totals: { days?: string | undefined }
  plans: { version?: string | undefined }
  deliveries: { id: string }
  audit: { operator?: string | undefined; account?: string | undefined; day?: string | undefined }
}

type QueryOf<N extends PageName> = N extends keyof Queries
  ? Record<never, never> extends Queries[N]
    ? [query?: Queries[N]]
    : [query: Queries[N]]
  : []

/** The link to a page: `href('account', { id })`. A page without its query does not compile. */
export function href<N extends PageName>(name: N, ...[query = {}]: QueryOf<N>): string {
  const given = Object.entries(query as Record<string, string | undefined>).filter(([, value]) => value)
  const search = new URLSearchParams(given as [string, string][])
  return given.length === 0 ? paths[name] : `${paths[name]}?${search}`
}
