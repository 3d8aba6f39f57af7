"use strict";
(async () => {
  const KEY = "torrentnet-key";
  const say = (text) => {
    const place = document.getElementById("live-start") || document.getElementById("viewer");
    place.textContent = text;
  };
  // The key leaves the address at once, so that nobody copies it with the address by mistake.
  const parts = new URLSearchParams(location.hash.slice(1));
  const given = parts.get("token");
  if (given) {
    sessionStorage.setItem(KEY, given);
    parts.delete("token");
    const rest = parts.toString();
    history.replaceState(null, "", location.pathname + (rest ? "#" + rest : ""));
  }
  const token = sessionStorage.getItem(KEY) || "";
  const ask = async (path) => {
    const answer = await fetch(path, { headers: { Authorization: "Bearer " + token }, cache: "no-store" });
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.text || "the server answered with " + answer.status);
    return found;
  };
  try {
    const session = await ask("/api/session");
    const run = await ask("/api/document");
    if (typeof torrentnetViewer === "undefined") throw new Error("the viewer is missing from this installation");
    torrentnetViewer.start({ run, live: { base: "", token, readOnly: session.readOnly, link: session.link } });
  } catch (error) {
    say("The lab cannot be shown: " + (error instanceof TypeError ? "its server does not answer" : error.message));
  }
})();
