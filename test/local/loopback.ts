/** The names by which a page of this machine is reached. */
const LOOPBACK = /^(localhost|127\.0\.0\.1|\[::1\])$/

/** Whether an origin, as browsers send it, is that of a page which this machine serves, on any port. */
export function isLoopback(origin: string): boolean {
  const url = URL.canParse(origin) ? new URL(origin) : undefined
  return url !== undefined && url.origin === origin && LOOPBACK.test(url.hostname)
}

/** Says once for each origin that its pages get no answer, and what to do: a browser says neither. */
export function refusalPrinter(print: (line: string) => void): (origin: string) => void {
  const told = new Set<string>()
  return (origin) => {
    if (told.has(origin)) return
    told.add(origin)
    const shown = JSON.stringify(origin.slice(0, 200))
    print(
      `CORS: pages of ${shown} cannot read answers. The local stack allows localhost, 127.0.0.1 and [::1] on any port, and the origin of APP_URL.`,
    )
  }
}
