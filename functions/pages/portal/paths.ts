/** Every page of the portal by name. Mails link to those with a code or an id, so these paths are fixed. */
export const paths = {
  overview: '/overview',
  usage: '/usage',
  bundle: '/bundle',
  renewal: '/auto-renewal',
  cards: '/cards',
  purchase: '/renewal/:id',
  invoices: '/invoices',
  invoice: '/invoices/:id',
  statement: '/statement',
  keys: '/keys',
  security: '/security',
  notices: '/notices',
  profile: '/profile',
  signIn: '/sign-in',
  register: '/register',
  confirm: '/confirm',
  reset: '/reset',
  recovery: '/recovery',
  stopRecovery: '/recovery/stop/:code',
  stopRenewal: '/renewal/stop/:code',
  allowRenewal: '/renewal/allow/:code',
  invitation: '/invitation/:code',
} as const

export type PageName = keyof typeof paths

type Parameter<P extends string> = P extends `${string}:${infer N}`
  ? [value: string, ...never[]] & { 0: string; name?: N }
  : []

/** The link to a page: `href('invoice', id)`. A page without a parameter takes none, which the compiler checks. */
export const href = <N extends PageName>(name: N, ...[value]: Parameter<(typeof paths)[N]>): string =>
  paths[name].replace(/:\w+/, () => encodeURIComponent(String(value)))

/** Whether a path shows a page. */
export const isAt = (path: string, name: PageName): boolean =>
  new RegExp(`^${paths[name].replace(/:\w+/, '[^/]+')}/?$`).test(path)
