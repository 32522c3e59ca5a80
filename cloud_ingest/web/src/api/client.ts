// Calls of the HTTP API, typed by its schema. Every failure is an ApiError.
import type { Calls, ProblemDocument } from "./schema";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

type Asked = Record<string, unknown>;
type Call = keyof Calls;
type Item<C extends Call> = Calls[C]["answers"] extends { items: (infer T)[] } ? T : never;
type Reading = Extract<Call, `GET ${string}`>;
type Acting = Exclude<Call, Reading>;

/** The address of a call: parameters go into its path, the others into the query. */
export function addressOf<C extends Call>(call: C, asks: Calls[C]["asks"]): string {
  const rest = new URLSearchParams();
  let path = call.replace(/^\w+ /, "");
  for (const [name, value] of Object.entries(asks as Asked)) {
    if (value === undefined) continue;
    if (path.includes(`{${name}}`)) path = path.replace(`{${name}}`, encodeURIComponent(String(value)));
    else for (const one of Array.isArray(value) ? value : [value]) rest.append(name, String(one));
  }
  const query = rest.toString();
  return `/api/v1${path}${query ? `?${query}` : ""}`;
}

async function answer<T>(request: Promise<Response>): Promise<T> {
  let response: Response;
  try {
    response = await request;
  } catch (error) {
    throw new ApiError(0, error instanceof Error ? error.message : String(error));
  }
  const body: unknown = await response.json().catch(() => null);
  if (!response.ok) {
    const problem = body as ProblemDocument | null;
    throw new ApiError(response.status, problem?.detail || problem?.title || `HTTP ${response.status}`);
  }
  return body as T;
}

export function get<C extends Reading>(call: C, asks: Calls[C]["asks"]): Promise<Calls[C]["answers"]> {
  return answer(fetch(addressOf(call, asks)));
}

/** All pages of a list, at most `most` entries. */
export async function list<C extends Reading>(call: C, asks: Calls[C]["asks"] = {} as Calls[C]["asks"], most = 5000): Promise<Item<C>[]> {
  const items: Item<C>[] = [];
  let cursor: string | undefined;
  do {
    const paged = { limit: Math.min(most, 1000), ...asks, cursor } as unknown as Calls[C]["asks"];
    const page = (await get(call, paged)) as { items: Item<C>[]; next: string | null };
    items.push(...page.items);
    cursor = page.next ?? undefined;
  } while (cursor && items.length < most);
  return items;
}

/** A response that is read whatever its status (health returns 503 with its checks). */
export async function getAny<T>(call: Reading): Promise<T> {
  return (await (await fetch(addressOf(call, {} as Calls[Reading]["asks"]))).json()) as T;
}

/** Performs an action in the name of `user`. */
export function act<C extends Acting>(call: C, asks: Calls[C]["asks"], body: Calls[C]["sends"], user: string): Promise<Calls[C]["answers"]> {
  const headers: Record<string, string> = body === undefined ? {} : { "Content-Type": "application/json" };
  if (user) headers["X-Quantrac-User"] = encodeURIComponent(user);
  const method = call.slice(0, call.indexOf(" "));
  return answer(fetch(addressOf(call, asks), { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }));
}
