/**
 * Bursar as the meter sees it, in memory: units, ids that spend once, reservations. Each call can be answered, refused, or
 * lost before or after its effect.
 */
export interface Call {
  path: string
  authorization: string
  /** With a service credential: the headers that name the customer. */
  customer: string | undefined
  // biome-ignore lint/suspicious/noExplicitAny: tests read bodies of every shape
  body: any
}

/**
 * What happens to a call: `lost` has had its effect; `dropped` has none; `late` fails and has its effect when calls are
 * released; `hang` has its effect and never answers; `held` waits for the release.
 */
export type Fate =
  | 'answer'
  | 'lost'
  | 'dropped'
  | 'late'
  | 'hang'
  | 'held'
  | number
  | ((call: Call) => Response)

export type BursarDouble = ReturnType<typeof bursarDouble>

const problem = (status: number, code: string, more: object = {}): Response =>
  Response.json({ type: `urn:bursar:problem:${code}`, status, detail: `Told: ${code}.`, ...more }, { status })

export function bursarDouble(units: Record<string, number>) {
  const left = new Map(Object.entries(units))
  const used = new Map<string, number>()
  const spent = new Set<string>()
  const reservations = new Map<
    string,
    { key: string; units: number; settled?: { id: string; units: number } }
  >()
  /** The reservation of each request id. */
  const made = new Map<string, string>()
  const calls: Call[] = []
  const fates: Fate[] = []
  const held: (() => void)[] = []
  let [otherwise, underWay, mostUnderWay]: [Fate, number, number] = ['answer', 0, 0]

  function move(key: string, by: number): void {
    left.set(key, (left.get(key) ?? 0) - by)
    used.set(key, (used.get(key) ?? 0) + by)
  }

  function spend(key: string, request: { units: number; requestId?: string }) {
    const name = `${key} ${request.requestId}`
    const isReplay = request.requestId !== undefined && spent.has(name)
    if (!isReplay && request.units > (left.get(key) ?? 0)) {
      return { status: 402, needed: request.units, left: left.get(key), used: used.get(key) ?? 0 }
    }
    if (!isReplay) move(key, request.units)
    if (request.units > 0) spent.add(name)
    return { status: 200, left: left.get(key), used: used.get(key) ?? 0, ...(isReplay && { replayed: true }) }
  }

  function reserve(key: string, body: { units: number; requestId: string }): Response {
    const known = made.get(body.requestId)
    if (known !== undefined)
      return Response.json(
        { id: known, replayed: true, left: left.get(key), ...spender(key) },
        { status: 201 },
      )
    if (body.units > (left.get(key) ?? 0)) return problem(402, 'quota_exhausted', { left: left.get(key) })
    const id = `r${made.size + 1}`
    made.set(body.requestId, id)
    left.set(key, (left.get(key) ?? 0) - body.units)
    reservations.set(id, { key, units: body.units })
    return Response.json({ id, units: body.units, left: left.get(key), ...spender(key) }, { status: 201 })
  }

  function settle(id: string, body: { units: number; requestId: string }): Response {
    const reservation = reservations.get(id)
    if (reservation === undefined) return problem(404, 'not_found')
    const { settled, key } = reservation
    if (settled && (settled.id !== body.requestId || settled.units !== body.units)) {
      return problem(409, 'reservation_ended')
    }
    const covered = Math.min(body.units, reservation.units + (left.get(key) ?? 0))
    if (!settled) {
      left.set(key, (left.get(key) ?? 0) + reservation.units - covered)
      used.set(key, (used.get(key) ?? 0) + covered)
      reservation.settled = { id: body.requestId, units: body.units }
    }
    return Response.json({ covered, left: left.get(key), ...(settled && { replayed: true }) })
  }

  const spender = (key: string) => ({ account: `account-${key}`, key: { id: key, scopes: ['read'] } })

  function effect({ path, authorization, customer, body }: Call): Response {
    const key = customer ?? authorization.replace('Bearer ', '')
    const [, reservation] = /reservations\/([^/]+)\/settle$/.exec(path) ?? []
    if (reservation) return settle(reservation, body)
    if (path === '/v1/usage/batch') {
      if (body.requests.some(({ tag }: { tag?: string }) => tag === 'poison'))
        return problem(400, 'invalid_request')
      if (!authorization.includes('bss_') && !left.has(key)) return problem(401, 'unauthorized')
      // biome-ignore lint/suspicious/noExplicitAny: as sent
      const answers = body.requests.map((request: any) => {
        const own = request.key ?? key
        const known = left.has(own)
        const answer = known ? spend(own, request) : { status: 401, type: 'urn:bursar:problem:unauthorized' }
        const refused = answer.status === 402 && { type: 'urn:bursar:problem:quota_exhausted' }
        return { requestId: request.requestId, ...answer, ...refused, ...(known && spender(own)) }
      })
      return Response.json({ answers })
    }
    if (!left.has(key)) return problem(401, 'unauthorized')
    if (path === '/v1/usage/reservations') return reserve(key, body)
    if (body.tag === 'poison') return problem(400, 'invalid_request')
    const { status, ...answer } = spend(key, body)
    return status === 402
      ? problem(402, 'quota_exhausted', answer)
      : Response.json({ ...answer, ...spender(key) })
  }

  async function fetch(url: string, init: RequestInit): Promise<Response> {
    const { pathname } = new URL(url)
    const headers = init.headers as Record<string, string>
    const { authorization = '', 'x-bursar-key': customer } = headers
    const call = { path: pathname, authorization, customer, body: JSON.parse(String(init.body)) }
    calls.push(call)
    const fate = fates.shift() ?? otherwise
    if (fate === 'late') held.push(() => void effect(call))
    if (fate === 'dropped' || fate === 'late') throw new TypeError('fetch failed')
    if (typeof fate === 'function') return fate(call)
    if (typeof fate === 'number') return problem(fate, fate === 503 ? 'temporarily_unavailable' : 'refused')
    underWay += 1
    mostUnderWay = Math.max(mostUnderWay, underWay)
    const response = effect(call)
    if (fate === 'held') await new Promise<void>((resolve) => held.push(resolve))
    underWay -= 1
    if (fate === 'lost') throw new TypeError('fetch failed')
    if (fate !== 'hang') return response
    return new Promise((_, reject) =>
      init.signal?.addEventListener('abort', () => reject(init.signal?.reason)),
    )
  }

  return {
    fetch,
    calls,
    left: (key: string) => left.get(key) ?? 0,
    used: (key: string) => used.get(key) ?? 0,
    reservations,
    /** The next calls meet these fates, and further ones the last that `always` named. */
    next: (...some: Fate[]) => void fates.push(...some),
    always(fate: Fate) {
      otherwise = fate
    },
    /** Forgets the fates of calls to come. */
    forget: () => void fates.splice(0),
    release: () => {
      for (const go of held.splice(0)) go()
    },
    setUnits: (key: string, value: number) => void left.set(key, value),
    revoke: (key: string) => void left.delete(key),
    expire: (id: string) => {
      const reservation = reservations.get(id)
      if (reservation) move(reservation.key, 0)
      if (reservation) left.set(reservation.key, (left.get(reservation.key) ?? 0) + reservation.units)
      reservations.delete(id)
    },
    mostUnderWay: () => mostUnderWay,
  }
}
