// Asking the server. Every failure becomes an Error with a message that can be shown.

const KEY = "search-token";

// The address of something of this server, whichever page of it is open: "api/search", "article/5".
export const address = (path) => new URL(path, import.meta.url).href;

export class Failure extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

let askForToken = async () => null;

// Say what asks a person for a token, and gives it or null.
export function onTokenNeeded(ask) {
  askForToken = ask;
}

async function send(method, path, body, signal) {
  const headers = {};
  const token = sessionStorage.getItem(KEY);
  if (body !== undefined) headers["content-type"] = "application/json";
  if (token) headers.authorization = `Bearer ${token}`;
  try {
    return await fetch(address(path), { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure("The server does not answer. Is `search serve` still running?", 0);
  }
}

async function ask(method, path, body, signal) {
  let response = await send(method, path, body, signal);
  while (response.status === 401) {
    const token = await askForToken();
    if (!token) throw new Failure("This needs a token.", 401);
    sessionStorage.setItem(KEY, token);
    response = await send(method, path, body, signal);
  }
  if (response.ok) return response;
  let message = `The server answered ${response.status}.`;
  try {
    message = (await response.json()).error.message;
  } catch {
    // An answer of something between here and the server: its status must do.
  }
  throw new Failure(message, response.status);
}

export const get = async (path, signal) => (await ask("GET", path, undefined, signal)).json();
export const post = async (path, body, signal) => (await ask("POST", path, body, signal)).json();
export const put = async (path, body) => (await ask("PUT", path, body)).json();
export const patch = async (path, body) => (await ask("PATCH", path, body)).json();
export const remove = async (path) => (await ask("DELETE", path)).json();
export const text = async (method, path, body) => (await ask(method, path, body)).text();

// Ask, and give the server-sent events of the answer as they come: {name, data}.
export async function* events(path, body, signal) {
  const response = await ask("POST", path, body, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    const parts = (rest + (value ?? "")).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const [, name, data] = /^event: (.*)\ndata: (.*)$/.exec(part) ?? [];
      if (name) yield { name, data: JSON.parse(data) };
    }
    if (done) return;
  }
}

// Ask for a file, and hand it to the browser.
export async function download(path, body) {
  const response = await ask("POST", path, body);
  const name = /filename="([^"]+)"/.exec(response.headers.get("content-disposition") ?? "");
  saveFile(await response.blob(), name ? name[1] : "pubmed.txt");
}

export function saveFile(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
